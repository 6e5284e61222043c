//! `healthcheck`: what a container or a supervisor asks.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::https;
use super::output::say;
use crate::config::Healthcheck;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks `/health` and fails unless the answer is 200.
pub fn healthcheck(arguments: &Healthcheck) -> Result<()> {
    let address = SocketAddr::new(arguments.host, arguments.port);
    let unreachable = || format!("no server answers at {address}");
    let stream = TcpStream::connect_timeout(&address, TIMEOUT).with_context(unreachable)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut answer = String::new();
    if arguments.tls {
        let name = arguments.host.to_string();
        let stream = https::connect(stream, &name, https::unchecked()?)?;
        ask(stream, address, &mut answer).with_context(unreachable)?;
    } else {
        ask(stream, address, &mut answer).with_context(unreachable)?;
    }
    let status = answer.lines().next().unwrap_or_default();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    if !status.starts_with("HTTP/1.1 200") {
        let remedy = if body.contains("\"https_required\"") {
            "; ask it with --tls"
        } else {
            ""
        };
        bail!("{status} {body}{remedy}");
    }
    say!("{body}");
    Ok(())
}

fn ask(mut stream: impl Read + Write, address: SocketAddr, answer: &mut String) -> io::Result<()> {
    write!(
        stream,
        "GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    stream.take(64 * 1024).read_to_string(answer)?;
    Ok(())
}
