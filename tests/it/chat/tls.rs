//! https spoken by the server itself. Clients are rustls and text; what may stand in the two files is tested in `server::tls`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;

use super::process::{Process, bare, command};
use super::rest::Answer;
use super::server::{KEY, TestServer, token};
use super::within;

const NAME: &str = "chat.example.com";
const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The two files of a server and, of each certificate that was written into them, what clients trust.
struct Files(TempDir);

impl Files {
    fn new() -> (Self, CertificateDer<'static>) {
        let files = Self(tempfile::tempdir().unwrap());
        let certificate = files.renew();
        (files, certificate)
    }

    fn certificate(&self) -> PathBuf {
        self.0.path().join("chain.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }

    /// Writes a new pair.
    fn renew(&self) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let names = vec![NAME.to_owned(), "127.0.0.1".to_owned()];
        let made = CertificateParams::new(names).unwrap().self_signed(&key);
        let made = made.unwrap();
        std::fs::write(self.certificate(), made.pem()).unwrap();
        std::fs::write(self.key(), key.serialize_pem()).unwrap();
        made.der().clone()
    }

    fn flags(&self) -> [String; 4] {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        [
            "--tls-cert".to_owned(),
            text(self.certificate()),
            "--tls-key".to_owned(),
            text(self.key()),
        ]
    }

    async fn serve(&self, more: &[&str]) -> TestServer {
        let flags = self.flags();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        TestServer::start(&[&flags, more].concat()).await
    }
}

fn trusting(
    certificate: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    config
}

async fn connect_with(
    address: SocketAddr,
    config: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from(NAME).unwrap();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, tcp);
    within("the handshake", connecting).await
}

async fn connect(
    address: SocketAddr,
    certificate: &CertificateDer<'static>,
) -> std::io::Result<TlsStream<TcpStream>> {
    connect_with(address, trusting(certificate, rustls::ALL_VERSIONS, &[])).await
}

/// One request on a connection that stays open.
async fn ask(stream: &mut TlsStream<TcpStream>, request: &str) -> Answer {
    let asking = async {
        stream.write_all(request.as_bytes()).await.unwrap();
        let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
        loop {
            if let Some(answer) = Answer::parse(&bytes) {
                let length = answer.header("content-length").unwrap().parse::<usize>();
                if answer.body.len() == length.unwrap() {
                    return answer;
                }
            }
            let read = stream.read(&mut part).await.unwrap();
            assert!(read > 0, "the connection ended within an answer");
            bytes.extend_from_slice(&part[..read]);
        }
    };
    within("an answer", asking).await
}

async fn run(arguments: &[&str]) -> Output {
    let mut command = bare();
    command.args(arguments);
    let ended = tokio::task::spawn_blocking(move || command.output().unwrap());
    within("the command to end", ended).await.unwrap()
}

#[tokio::test]
async fn requests_and_sockets_come_over_tls() {
    let (files, certificate) = Files::new();
    let server = files.serve(&[]).await;
    let newest: &[_] = &[&rustls::version::TLS13];
    let older: &[_] = &[&rustls::version::TLS12];
    for (versions, protocols, chosen) in [
        (newest, &["h2", "http/1.1"][..], Some(&b"http/1.1"[..])),
        (older, &[], None),
    ] {
        let config = trusting(&certificate, versions, protocols);
        let mut stream = connect_with(server.address(), config).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen);
        let answer = ask(&mut stream, HEALTH).await;
        assert_eq!(answer.status, 200);
        let hsts = answer.header("strict-transport-security");
        assert_eq!(hsts, Some("max-age=31536000"));
        let answer = ask(&mut stream, HEALTH).await;
        assert_eq!(answer.status, 200, "the second on one connection");
    }
    let config = trusting(&certificate, rustls::ALL_VERSIONS, &["h2"]);
    assert!(connect_with(server.address(), config).await.is_err());

    let stream = connect(server.address(), &certificate).await.unwrap();
    let url = format!("wss://{NAME}/socket.io/?EIO=4&transport=websocket");
    let upgrade = tokio_tungstenite::client_async(url, stream);
    let (mut socket, _) = within("the upgrade", upgrade).await.unwrap();
    let auth = json!({ "token": token("asha", Some("Asha")) });
    socket
        .send(Message::text(format!("40{auth}")))
        .await
        .unwrap();
    let welcome = async {
        loop {
            let frame = socket.next().await.unwrap().unwrap();
            if frame.to_text().unwrap().starts_with("40{") {
                return;
            }
        }
    };
    within("the welcome", welcome).await;
    assert_eq!(server.counts().sessions.websocket, 1);
    // Nobody is left behind at the end, a connection between two requests included.
    let mut waiting = connect(server.address(), &certificate).await.unwrap();
    ask(&mut waiting, HEALTH).await;
    server.stop().await;
    let mut rest = Vec::new();
    within("the end", waiting.read_to_end(&mut rest))
        .await
        .unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn what_is_no_tls_comes_to_an_end() {
    let (files, certificate) = Files::new();
    let server = files.serve(&["--header-timeout", "1"]).await;
    let said = async |first: &[u8]| {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(first).await.unwrap();
        let mut said = Vec::new();
        // A reset is an end too.
        let _ = within("the end", stream.read_to_end(&mut said)).await;
        said
    };
    let plain = Answer::parse(&said(HEALTH.as_bytes()).await).unwrap();
    let body: Value = serde_json::from_slice(&plain.body).unwrap();
    assert_eq!(
        (plain.status, &body["error"]),
        (400, &json!("https_required"))
    );
    // Nothing, half a record, bytes of no meaning, and a record that is larger than any may be.
    for first in [
        &b""[..],
        &[22, 3, 1],
        &[0, 1, 2, 3, 4, 5, 6, 7],
        &[22, 3, 1, 255, 255, 1],
    ] {
        let said = said(first).await;
        assert!(said.len() < 16, "more than an alert: {said:?}");
    }
    // Somebody who trusts another is nobody that the server could serve.
    let (_, other) = Files::new();
    assert!(connect(server.address(), &other).await.is_err());
    let mut stream = connect(server.address(), &certificate).await.unwrap();
    let metrics = ask(&mut stream, &HEALTH.replace("/health", "/metrics")).await;
    let metrics = String::from_utf8(metrics.body.clone()).unwrap();
    assert!(
        metrics.contains("jivchat_tls_handshakes_failed_total 6"),
        "{metrics}"
    );
    assert!(metrics.contains("jivchat_tls_certificate_end_seconds "));
}

#[tokio::test]
async fn a_handshake_is_a_connection_like_any_other() {
    let (files, certificate) = Files::new();
    let server = files.serve(&["--max-connections", "1"]).await;
    let silent = TcpStream::connect(server.address()).await.unwrap();
    let taken = async {
        while server.counts().connections.open == 0 {
            tokio::task::yield_now().await;
        }
    };
    within("the place to be taken", taken).await;
    let mut second = Box::pin(connect(server.address(), &certificate));
    let early = tokio::time::timeout(std::time::Duration::from_millis(200), &mut second).await;
    assert!(early.is_err(), "a second was served");
    drop(silent);
    second.await.unwrap();
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_alone() {
    let (files, old) = Files::new();
    let data = tempfile::tempdir().unwrap();
    let mut command = command(data.path());
    command.args(files.flags());
    let process = Process::spawn(command).await;
    let mut open = connect(process.address, &old).await.unwrap();
    ask(&mut open, HEALTH).await;

    let new = files.renew();
    process.signal("HUP");
    let shown = async {
        while connect(process.address, &new).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    within("the new certificate", shown).await;
    assert!(connect(process.address, &old).await.is_err());
    assert_eq!(ask(&mut open, HEALTH).await.status, 200);
    assert!(process.terminate().await.success());
}

#[tokio::test]
async fn files_that_are_no_pair_leave_the_old_one() {
    let (files, certificate) = Files::new();
    let server = files.serve(&[]).await;
    for (path, content) in [
        (files.key(), KeyPair::generate().unwrap().serialize_pem()),
        (files.key(), String::new()),
        (files.certificate(), "half a certifi".to_owned()),
    ] {
        std::fs::write(path, content).unwrap();
        server.reload();
        connect(server.address(), &certificate).await.unwrap();
    }
    std::fs::remove_file(files.key()).unwrap();
    server.reload();
    connect(server.address(), &certificate).await.unwrap();
    let new = files.renew();
    server.reload();
    connect(server.address(), &new).await.unwrap();
}

#[tokio::test]
async fn without_files_to_read_a_hang_up_changes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let process = Process::start(data.path()).await;
    process.signal("HUP");
    // Signals of one kind are told one after the other, and TERM is told after it.
    process.user("asha").get("/health").await;
    assert!(process.terminate().await.success());
}

#[tokio::test]
async fn a_pair_is_checked_before_the_start() {
    let (files, _) = Files::new();
    let data = tempfile::tempdir().unwrap();
    let start = async |command: &str| {
        let (directory, flags) = (data.path().to_str().unwrap(), files.flags());
        let mut all = vec![
            command,
            "--port",
            "0",
            "--log",
            "error",
            "--data-dir",
            directory,
        ];
        all.extend(flags.iter().map(String::as_str));
        run(&all).await
    };
    let checked = start("check").await;
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(
        checked.status.success() && said.contains("chain.pem and its key, until"),
        "{said}"
    );
    std::fs::write(files.key(), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let checked = start("check").await;
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(
        !checked.status.success() && said.contains("WRONG   certificate: "),
        "{said}"
    );
    let started = start("serve").await;
    let said = String::from_utf8(started.stderr).unwrap();
    assert_eq!(started.status.code(), Some(1), "{said}");
    assert!(
        said.contains("give both of one pair") && said.lines().count() == 1,
        "{said}"
    );
    for flag in ["--tls-cert", "--tls-key"] {
        let alone = run(&["serve", flag, "one.pem"]).await;
        assert_eq!(alone.status.code(), Some(2), "{flag} alone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_reach_a_server_behind_tls() {
    let (files, _) = Files::new();
    let server = files.serve(&["--admin-key", KEY]).await;
    let port = server.address().port().to_string();
    let health = run(&["healthcheck", "--port", &port, "--tls"]).await;
    assert!(health.status.success(), "{health:?}");
    let plain = run(&["healthcheck", "--port", &port]).await;
    let said = String::from_utf8(plain.stderr).unwrap();
    assert!(
        !plain.status.success() && said.contains("ask it with --tls"),
        "{said}"
    );

    let directory = tempfile::tempdir().unwrap();
    let backup = async |to: &Path, url: &str, trust: &[&str]| {
        let fixed = ["backup", to.to_str().unwrap(), "--server", url];
        let key = ["--admin-key", KEY];
        run(&[&fixed[..], &key, trust].concat()).await
    };
    let chain = files.certificate();
    let trust = ["--server-ca-file", chain.to_str().unwrap()];
    let (first, second) = (directory.path().join("a"), directory.path().join("b"));
    let url = format!("https://127.0.0.1:{port}");
    let taken = backup(&first, &url, &trust).await;
    assert!(taken.status.success(), "{taken:?}");
    // The key is not given to somebody whom nobody vouches for.
    let refused = backup(&second, &url, &[]).await;
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && said.contains("UnknownIssuer"),
        "{said}"
    );
    let plain = backup(&second, &format!("http://127.0.0.1:{port}"), &[]).await;
    let said = String::from_utf8(plain.stderr).unwrap();
    assert!(
        !plain.status.success() && said.contains("https://HOST:PORT"),
        "{said}"
    );

    let open = TestServer::start(&[]).await;
    let wrong = run(&[
        "healthcheck",
        "--tls",
        "--port",
        &open.address().port().to_string(),
    ])
    .await;
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(
        !wrong.status.success() && said.contains("plain http"),
        "{said}"
    );
}
