//! The real binary, and a plain blocking client for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use jivchat::auth::{Secret, Strength, mint};
use serde_json::Value;

const SECRET: &str = "the-storage-tests-share-this-secret";
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// A running server; killed when it is dropped.
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
}

/// The binary with nothing of the environment that would change it.
pub(super) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jivchat"));
    clean(&mut command);
    command.args(arguments);
    command
}

fn clean(command: &mut Command) {
    for variable in ["HOST", "PORT", "JWT_SECRET", "CHAT_MEDIA_PATH"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
}

/// The arguments of a server on this directory.
fn arguments<'a>(directory: &'a Path, flags: &[&'a str]) -> Vec<&'a str> {
    let directory = directory.to_str().unwrap();
    let fixed = ["--port", "0", "--no-rate-limit", "--jwt-secret", SECRET];
    let mut all = fixed.to_vec();
    all.extend(["--data-dir", directory, "--log", "warn"]);
    all.extend(flags);
    all
}

/// A server that is not waited for.
pub(super) fn spawn(directory: &Path, flags: &[&str]) -> Child {
    let mut command = command(&arguments(directory, flags));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// A server that is expected to give up, and how long that took.
pub(super) fn refused(directory: &Path) -> (Output, Duration) {
    let began = Instant::now();
    let output = command(&arguments(directory, &[])).output().unwrap();
    (output, began.elapsed())
}

impl Server {
    pub(super) fn start(directory: &Path, flags: &[&str]) -> Self {
        Self::run(command(&arguments(directory, flags)))
    }

    /// Started by a shell that has first run `limits`.
    pub(super) fn start_limited(directory: &Path, limits: &str, flags: &[&str]) -> Self {
        let mut command = Command::new("sh");
        clean(&mut command);
        command
            .arg("-c")
            .arg(format!("{limits}; exec \"$0\" \"$@\""))
            .arg(env!("CARGO_BIN_EXE_jivchat"))
            .args(arguments(directory, flags));
        Self::run(command)
    }

    fn run(mut command: Command) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (say, said) = mpsc::sync_channel(1);
        // Reads to the end: a child whose standard error is full would wait.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                match line.strip_prefix("listening on http://") {
                    Some(address) => drop(say.send(address.parse().unwrap())),
                    None => eprintln!("server: {line}"),
                }
            }
        });
        let address = said.recv_timeout(PATIENCE);
        let Ok(address) = address else {
            let _ = child.kill();
            panic!("the server did not start: {:?}", child.wait());
        };
        Self { child, address }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// How the process ended, if it did so by itself.
    pub(super) fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// SIGTERM; answers how the process ended and after what time.
    pub(super) fn terminate(mut self) -> (ExitStatus, Duration) {
        let id = self.child.id().to_string();
        let began = Instant::now();
        let told = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(told.success());
        while began.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, began.elapsed());
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        panic!("the server did not end");
    }

    pub(super) fn client(&self, user: &str) -> Client {
        Client::new(self.address, user)
    }

    /// Somebody with the key of the admin API.
    pub(super) fn host(&self, key: &str) -> Client {
        Client {
            address: self.address,
            token: key.to_owned(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ended already, or a test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One user over REST, a connection for each request.
#[derive(Clone)]
pub(super) struct Client {
    address: SocketAddr,
    token: String,
}

impl Client {
    pub(super) fn new(address: SocketAddr, user: &str) -> Self {
        let secret = Secret::new(SECRET.as_bytes(), "test", Strength::Required).unwrap();
        let hour = Duration::from_hours(1);
        Self {
            address,
            token: mint(&secret, user, Some(user), None, None, hour).unwrap(),
        }
    }

    /// The status and the body, or nothing if there was no whole answer.
    pub(super) fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> std::io::Result<(u16, Value)> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = body.map_or_else(String::new, Value::to_string);
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        )?;
        read_json(stream)
    }

    /// Sends a message that shows these bytes.
    pub(super) fn upload(&self, chat: &str, bytes: &[u8]) -> std::io::Result<(u16, Value)> {
        let head =
            "--part\r\nContent-Disposition: form-data; name=\"media\"; filename=\"a\"\r\n\r\n";
        let body = [head.as_bytes(), bytes, b"\r\n--part--\r\n"].concat();
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "POST /api/chat/{chat}/send-media HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
             Authorization: Bearer {}\r\nContent-Type: multipart/form-data; boundary=part\r\n\
             Content-Length: {}\r\n\r\n",
            self.token,
            body.len()
        )?;
        stream.write_all(&body)?;
        read_json(stream)
    }

    pub(super) fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, None).unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        body["data"].clone()
    }
}

/// The status and the body of an answer.
fn read_json(mut stream: TcpStream) -> std::io::Result<(u16, Value)> {
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let cut = || std::io::Error::other("the answer was cut short");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(cut)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = serde_json::from_str(body).map_err(|_| cut())?;
    Ok((status.ok_or_else(cut)?, body))
}

/// What `jivchat verify` says of a directory without a server; it must find nothing wrong.
pub(super) fn verify(directory: &Path) -> Value {
    let (output, report) = run_json("verify", directory);
    assert!(output.status.success(), "{report} {output:?}");
    assert_eq!(report["ok"], true, "{report}");
    report
}

/// A command with `--json`, and what it printed.
pub(super) fn run_json(name: &str, directory: &Path) -> (Output, Value) {
    let directory = directory.to_str().unwrap();
    let output = command(&[name, "--json", "--data-dir", directory])
        .output()
        .unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output, report)
}

/// Every file below the directory that holds the bytes.
pub(super) fn files_with(directory: &Path, needle: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    // Files may go away while they are looked through.
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else {
            let bytes = std::fs::read(&path).unwrap_or_default();
            let mut windows = bytes.windows(needle.len());
            found.extend(windows.any(|one| one == needle.as_bytes()).then_some(path));
        }
    }
    found
}
