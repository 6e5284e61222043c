//! A GET to a running server from a command: http or https, one answer, read as it comes. It knows no route.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::https;
use crate::backend;

/// A server that is silent for so long is given up.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Most of a head, or of an answer that says no, that is read.
const MAX_REFUSAL: u64 = 64 << 10;

/// Asks `url` (`https://HOST`, `http://HOST:PORT`) for `path` and gives the body of a 200. HTTP/1.0: the body ends with the connection,
/// so whoever reads it must know its end. `authorities` are trusted for https, in place of the public ones.
pub(super) fn download(
    url: &str,
    path: &str,
    key: &str,
    authorities: Option<&Path>,
) -> Result<Box<dyn Read>> {
    let (rest, is_encrypted, port) =
        match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (rest, false, 80),
            (_, Some(rest)) => (rest, true, 443),
            _ => bail!("{url} is no address of the form https://HOST or http://HOST:PORT"),
        };
    let (host, prefix) = match rest.split_once('/') {
        Some((host, prefix)) => (host, format!("/{}", prefix.trim_end_matches('/'))),
        None => (rest, String::new()),
    };
    let prefix = if prefix == "/" { "" } else { &prefix };
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let address = if has_port {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    };
    let unreachable = || format!("no server answers at {address}");
    let stream = TcpStream::connect(&address).with_context(unreachable)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut stream: Box<dyn Stream> = if is_encrypted {
        let name = address.rsplit_once(':').map_or(host, |(name, _)| name);
        let trust = backend::client_tls(authorities)?;
        Box::new(https::connect(stream, name, trust)?)
    } else {
        Box::new(stream)
    };
    write!(
        stream,
        "GET {prefix}{path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n"
    )
    .with_context(unreachable)?;
    let mut answer = BufReader::with_capacity(256 << 10, stream);
    let status = read_head(&mut answer).with_context(unreachable)?;
    if status == 200 {
        return Ok(Box::new(answer));
    }
    let mut body = Vec::new();
    answer.take(MAX_REFUSAL).read_to_end(&mut body)?;
    let refusal: Value = serde_json::from_slice(&body).unwrap_or_default();
    let why = refusal["message"].as_str().unwrap_or("no reason given");
    match status {
        400 if refusal["error"] == "https_required" => {
            bail!("{url} speaks https; give its address as https://HOST:PORT")
        }
        404 => bail!("{url} has no admin API; start it with --admin-key-file"),
        401 => bail!("{url} refuses the admin key: {why}"),
        _ => bail!("{url} answered {status}: {why}"),
    }
}

/// Encrypted or not.
trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// The status; the body is next.
fn read_head(answer: &mut impl BufRead) -> Result<u16> {
    let mut head = answer.by_ref().take(MAX_REFUSAL);
    let mut first = String::new();
    head.read_line(&mut first)?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.context("the answer is no HTTP")?;
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            bail!("the answer was cut short");
        }
        if line.trim_end().is_empty() {
            return Ok(status);
        }
    }
}
