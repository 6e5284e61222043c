//! Hosts that sign tokens with a key of their own, and change it. The rules for keys themselves are tested in `auth`.

use std::path::Path;
use std::process::Output;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use super::process::{Process, bare};
use super::rest::{Answer, Rest};
use super::server::{KEY, SECRET, TestServer, token};
use super::sockets::Client;
use super::within;

/// A key of the host.
struct Key(Ed25519KeyPair);

impl Key {
    fn new() -> Self {
        Self(Ed25519KeyPair::generate().unwrap())
    }

    fn pem(&self) -> String {
        let der = self.0.public_key().as_der().unwrap();
        let body = STANDARD.encode(der.as_ref());
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
    }

    fn jwk(&self, kid: &str) -> serde_json::Value {
        let x = URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x})
    }

    fn token(&self, kid: Option<&str>) -> String {
        let header = match kid {
            Some(kid) => json!({"alg": "EdDSA", "kid": kid}),
            None => json!({"alg": "EdDSA"}),
        };
        let claims = json!({"id": "asha", "name": "Asha", "exp": 4_000_000_000_u64});
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.0.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

async fn ask(address: std::net::SocketAddr, token: String) -> Answer {
    let user = Rest::new(address, "asha", Some(token));
    user.get("/api/chat/unread-count").await
}

fn write_set(path: &Path, keys: &[serde_json::Value]) {
    std::fs::write(path, json!({ "keys": keys }).to_string()).unwrap();
}

#[tokio::test]
async fn a_public_key_is_enough_and_ends_the_shared_secret() {
    let directory = tempfile::tempdir().unwrap();
    let (host, path) = (Key::new(), directory.path().join("host.pem"));
    std::fs::write(&path, host.pem()).unwrap();
    let data = directory.path().join("data");
    let mut command = bare();
    command.args(["--port", "0", "--log", "error", "--admin-key", KEY]);
    command
        .arg("--jwt-public-key-file")
        .arg(&path)
        .arg("--data-dir")
        .arg(&data);
    let process = Process::spawn(command).await;
    ask(process.address, host.token(None)).await.ok(200);
    ask(process.address, Key::new().token(None))
        .await
        .refused(401, "token_invalid");
    ask(process.address, token("asha", None))
        .await
        .refused(401, "token_invalid");
    assert!(!data.join("jwt-secret").exists(), "nobody asked for one");
    let host = Rest::new(process.address, "host", Some(KEY.to_owned()));
    let wanted = json!({ "userId": "asha" });
    let answer = host.post("/api/admin/tokens", &wanted).await;
    answer.refused(404, "not_found");
}

#[tokio::test]
async fn keys_and_secrets_may_stand_side_by_side() {
    let directory = tempfile::tempdir().unwrap();
    let (host, path) = (Key::new(), directory.path().join("host.pem"));
    std::fs::write(&path, host.pem()).unwrap();
    let server = TestServer::start(&["--jwt-public-key-file", path.to_str().unwrap()]).await;
    ask(server.address(), host.token(None)).await.ok(200);
    ask(server.address(), token("asha", None)).await.ok(200);
    let asha = Rest::new(server.address(), "asha", Some(host.token(None)));
    drop(Client::connect(&server, &asha).await);
}

#[tokio::test]
async fn a_set_of_keys_is_followed_while_the_server_runs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    let (old, new) = (Key::new(), Key::new());
    write_set(&path, &[old.jwk("old")]);
    let mut command = bare();
    command.args(["--port", "0", "--log", "error", "--jwt-secret", SECRET]);
    command.arg("--jwks-file").arg(&path);
    command.arg("--data-dir").arg(directory.path().join("data"));
    let process = Process::spawn(command).await;
    let (old_token, new_token) = (old.token(Some("old")), new.token(Some("new")));
    ask(process.address, old_token.clone()).await.ok(200);
    ask(process.address, new_token.clone())
        .await
        .refused(401, "token_invalid");

    write_set(&path, &[old.jwk("old"), new.jwk("new")]);
    process.signal("HUP");
    until(process.address, &new_token, 200).await;
    ask(process.address, old_token.clone()).await.ok(200);

    // Without a word: the file is looked at.
    write_set(&path, &[new.jwk("new")]);
    until(process.address, &old_token, 401).await;

    // Half a file locks nobody out.
    std::fs::write(&path, "{\"keys\": [").unwrap();
    process.signal("HUP");
    ask(process.address, new_token.clone()).await.ok(200);
    ask(process.address, new_token).await.ok(200);
    assert!(process.terminate().await.success());
}

async fn until(address: std::net::SocketAddr, token: &str, status: u16) {
    let reached = async {
        while ask(address, token.to_owned()).await.status != status {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    within("the keys to be read", reached).await;
}

#[tokio::test]
async fn keys_that_cannot_work_are_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let start = async |flag: &str, content: &str| -> Output {
        std::fs::write(&path, content).unwrap();
        let mut command = bare();
        command.args(["--port", "0", "--log", "error", flag]);
        command.arg(&path).arg("--data-dir").arg(directory.path());
        let ended = tokio::task::spawn_blocking(move || command.output().unwrap());
        within("the command to end", ended).await.unwrap()
    };
    for (flag, content, remedy) in [
        ("--jwt-public-key-file", "", "-----BEGIN PUBLIC KEY-----"),
        (
            "--jwt-public-key-file",
            "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
            "openssl pkey -pubout",
        ),
        ("--jwks-file", "[]", "no JWK set"),
        (
            "--jwks-file",
            "{\"keys\": []}",
            "no RS256, ES256 or EdDSA key",
        ),
        (
            "--jwt-secret-file",
            &Key::new().pem(),
            "--jwt-public-key-file",
        ),
    ] {
        let output = start(flag, content).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains(remedy) && said.trim().lines().count() == 1,
            "{said}"
        );
    }
}

#[tokio::test]
async fn nobody_signs_with_a_public_key() {
    let mut command = bare();
    command.args(["token", "--id", "asha", "--jwt-public-key-file", "host.pem"]);
    let ended = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = within("the command to end", ended).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && said.contains("--jwt-secret-file"),
        "{said}"
    );
}
