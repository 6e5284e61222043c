//! The binary as a person and a supervisor use it: what it prints, what it exits with, what it refuses to start with.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::process::{Process, bare, command};
use super::rest::{Answer, Rest};
use super::server::{SECRET, TestServer, token, token_with};
use super::sockets::Client;
use super::within;

async fn run(mut command: Command) -> Output {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    within("the command to end", output).await.unwrap()
}

/// What a failure says on standard error: one line.
fn complaint(output: &Output) -> String {
    assert!(
        output.status.code().is_some_and(|code| code != 0),
        "{output:?}"
    );
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(said.trim().lines().count(), 1, "{said}");
    said
}

#[tokio::test]
async fn a_directory_without_a_secret_gets_one_and_tokens_are_signed_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut minting = bare();
    minting.args(["token", "--id", "asha", "--name", "Asha", "--data-dir"]);
    let minted = run({
        minting.arg(directory.path());
        minting
    });
    let minted = minted.await;
    assert!(minted.status.success(), "{minted:?}");
    let token = String::from_utf8(minted.stdout).unwrap();
    let secret = directory.path().join("jwt-secret");
    let mode = std::fs::metadata(secret).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let mut serving = bare();
    serving.args(["serve", "--port", "0", "--log", "error", "--data-dir"]);
    serving.arg(directory.path());
    let process = Process::spawn(serving).await;
    let asha = Rest::new(process.address, "asha", Some(token.trim().to_owned()));
    asha.get("/api/chat/my-chats").await.ok(200);
    process
        .user("asha")
        .get("/api/chat/my-chats")
        .await
        .refused(401, "token_invalid");
}

#[tokio::test]
async fn what_cannot_work_is_refused_in_one_line_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let mut weak = bare();
    weak.args([
        "--port",
        "0",
        "--jwt-secret",
        "too-short",
        "--log",
        "error",
        "--data-dir",
    ]);
    weak.arg(directory.path());
    let said = complaint(&run(weak).await);
    assert!(
        said.contains("--allow-weak-secret") && !said.contains("too-short"),
        "{said}"
    );

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut busy = bare();
    busy.args(["--port", &port, "--log", "error", "--data-dir"])
        .arg(directory.path());
    let said = complaint(&run(busy).await);
    assert!(said.contains("--port") && said.contains(&port), "{said}");

    let file = directory.path().join("no-directory");
    std::fs::write(&file, "x").unwrap();
    let said = complaint(&run(command(&file)).await);
    assert!(said.contains(file.to_str().unwrap()), "{said}");

    let mut flag = bare();
    flag.arg("--no-such-flag");
    assert_eq!(run(flag).await.status.code(), Some(2));
}

#[tokio::test]
async fn a_supervisor_can_ask_how_it_goes() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path()).await;
    let asking = |port: u16| {
        let mut asking = bare();
        asking.args(["healthcheck", "--port", &port.to_string()]);
        run(asking)
    };
    let well = asking(process.address.port()).await;
    assert!(well.status.success(), "{well:?}");
    let health: Value = serde_json::from_slice(&well.stdout).unwrap();
    assert_eq!(health["status"], "ok");
    let port = process.address.port();
    process.kill();
    complaint(&asking(port).await);
}

#[tokio::test]
async fn the_demo_prints_tokens_that_work_and_is_nowhere_else() {
    let server = TestServer::start(&["--demo"]).await;
    let session = server.anonymous().get("/demo/session.json").await;
    let session: Value = serde_json::from_slice(&session.body).unwrap();
    let (users, pets) = (
        session["users"].as_array().unwrap(),
        session["pets"].as_array().unwrap(),
    );
    assert!(users.len() >= 6 && pets.len() >= 8);
    let mut conversations = 0;
    for user in users {
        let demo = server
            .anonymous()
            .with_token(user["token"].as_str().unwrap());
        let listed = demo.get("/api/chat/my-chats").await.ok(200);
        conversations += listed["chats"].as_array().unwrap().len();
    }
    assert!(conversations >= 6);
    let page = server.anonymous().get("/").await;
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );

    let directory = server.stop().await;
    let plain = TestServer::start_in(directory, &[]).await;
    for path in ["/", "/demo/session.json", "/demo/assets/app.js"] {
        plain.anonymous().get(path).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_request_in_flight_is_finished_before_the_end() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let address = server.address();
    let mut socket = Client::connect(&server, &asha).await;
    let ask = rohan.ask("POST", &format!("/api/chat/{chat}/send"));
    let whole = ask.json(&json!({ "content": "the last word" })).bytes();
    let (most, last) = whole.split_at(whole.len() - 5);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(most).await.unwrap();
    // Answered after it was read, so the head before it has been read as well.
    rohan.get("/health").await;

    let stopping = tokio::spawn(server.stop());
    let refusing = async { while TcpStream::connect(address).await.is_ok() {} };
    within("the port to close", refusing).await;
    stream.write_all(last).await.unwrap();
    let mut bytes = Vec::new();
    within("the answer", stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    let answer = Answer::parse(&bytes).unwrap();
    assert_eq!(answer.ok(201)["content"], "the last word");
    socket.ended().await;
    let directory = within("the end", stopping).await.unwrap();
    let again = TestServer::start_in(directory, &[]).await;
    let history = again.stranger("asha").messages(&chat).await;
    assert_eq!(history[0]["content"], "the last word");
}

/// Everything below a directory, with its bytes.
fn tree(directory: &std::path::Path) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
            found.insert(path, Vec::new());
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

#[tokio::test]
async fn flags_can_be_checked_without_a_start() {
    let directory = tempfile::tempdir().unwrap();
    let checking = async |data_dir: &std::path::Path, flags: &[&str]| {
        let mut checking = bare();
        checking
            .args(["check", "--json", "--data-dir"])
            .arg(data_dir);
        if !flags.contains(&"--port") {
            checking.args(["--port", "0"]);
        }
        let output = run({
            checking.args(flags);
            checking
        })
        .await;
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["ok"], output.status.success(), "{report}");
        let wrong = report["checks"].as_array().unwrap().iter();
        let wrong: Vec<String> = wrong
            .filter(|row| row["ok"] == false)
            .map(|row| format!("{}: {}", row["subject"], row["text"]))
            .collect();
        wrong.join("\n")
    };
    let fresh = directory.path().join("not/there/yet");
    assert_eq!(checking(&fresh, &[]).await, "");
    assert_eq!(tree(directory.path()).len(), 0, "something was made");

    let data_dir = directory.path().join("data");
    let process = Process::start(&data_dir).await;
    let port = process.address.port().to_string();
    let said = checking(&data_dir, &["--port", &port]).await;
    assert!(
        said.contains("another server") && said.contains("is in use by process"),
        "{said}"
    );
    process.kill();
    let before = tree(&data_dir);
    assert_eq!(checking(&data_dir, &[]).await, "");
    let said = checking(&data_dir, &["--jwt-secret", "too-short"]).await;
    assert!(
        said.contains("--allow-weak-secret") && !said.contains("too-short"),
        "{said}"
    );
    let said = checking(&data_dir, &["--admin-key-file", "/no/such/file"]).await;
    assert!(said.contains("/no/such/file"), "{said}");
    let said = checking(&data_dir, &["--jwks-file", "/no/such/keys"]).await;
    assert!(said.contains("/no/such/keys"), "{said}");
    assert_eq!(tree(&data_dir), before, "something was changed");
    std::fs::write(data_dir.join("schema"), "99\n").unwrap();
    let said = checking(&data_dir, &[]).await;
    assert!(said.contains("knows only up to"), "{said}");
}

#[tokio::test]
async fn a_token_can_be_looked_into() {
    let directory = tempfile::tempdir().unwrap();
    let inspecting = async |token: &str, flags: &[&str]| {
        let mut inspecting = bare();
        inspecting.args(["token", "inspect", "--json", "--data-dir"]);
        inspecting.arg(directory.path()).args(flags).arg(token);
        run(inspecting).await
    };
    let secret = ["--jwt-secret", SECRET];
    let good = token("asha", Some("Asha"));
    let output = inspecting(&good, &secret).await;
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["ok"], &report["userId"]),
        (&json!(true), &json!("asha"))
    );
    assert_eq!(report["claims"]["name"], "Asha");
    assert_eq!(report["header"]["alg"], "HS256");

    let other = ["--jwt-secret", "another-secret-of-more-than-32-bytes"];
    let output = inspecting(&good, &other).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["ok"], &report["claims"]["name"]),
        (&json!(false), &json!("Asha"))
    );
    assert_eq!(report["refusal"], "invalid token");
    let said = complaint(&output);
    assert!(said.contains("another secret"), "{said}");
    let claims = json!({ "id": 42, "exp": 4_000_000_000_u64 });
    let said = complaint(&inspecting(&token_with(&claims, SECRET), &secret).await);
    assert!(said.contains("sign it as a string"), "{said}");
    let said = complaint(&inspecting("no.token.this", &secret).await);
    assert!(said.contains("no JSON Web Token"), "{said}");
    let said = complaint(&inspecting(&good, &[]).await);
    assert!(said.contains("--data-dir"), "{said}");
    assert_eq!(tree(directory.path()).len(), 0, "a secret was made");
}

/// `check --json` on a free port: what it found wrong, and what it warns of.
async fn checked(data_dir: &std::path::Path, flags: &[&str]) -> (String, String) {
    let mut checking = bare();
    checking.args(["check", "--json", "--port", "0", "--data-dir"]);
    checking.arg(data_dir).args(flags);
    let output = run(checking).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], output.status.success(), "{report}");
    let rows = report["checks"].as_array().unwrap();
    let lines = |is_meant: fn(&&Value) -> bool, key: &str| {
        let meant = rows.iter().filter(is_meant);
        let lines: Vec<_> = meant
            .map(|row| format!("{}: {}", row["subject"], row[key]))
            .collect();
        lines.join("\n")
    };
    (
        lines(|row| row["ok"] == false, "text"),
        lines(|row| !row["warning"].is_null(), "warning"),
    )
}

#[tokio::test]
async fn a_check_finds_what_a_start_would() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let (mine, theirs, shared) = (at("mine"), at("theirs"), at("shared"));
    let flag = |name: &str, path: &std::path::Path| format!("{name}={}", path.display());
    let media = flag("--media-path", &shared);
    let process = Process::spawn({
        let mut serving = command(&theirs);
        serving.arg(&media);
        serving
    })
    .await;
    let wrong = checked(&mine, &[&media]).await.0;
    assert!(wrong.contains("in use by another server"), "{wrong}");
    process.kill();
    let wrong = checked(&mine, &[&media]).await.0;
    assert!(wrong.contains("files of another data directory"), "{wrong}");
    assert_eq!(checked(&theirs, &[&media]).await.0, "");
    let inside = flag("--media-path", &theirs.join("media"));
    std::fs::create_dir(theirs.join("media")).unwrap();
    let wrong = checked(&mine, &[&inside]).await.0;
    assert!(wrong.contains("the data directory around it"), "{wrong}");

    std::fs::write(at("file"), "").unwrap();
    for path in [at("file"), at("file").join("below")] {
        let wrong = checked(&mine, &[&flag("--media-path", &path)]).await.0;
        assert!(wrong.contains("--media-path"), "{wrong}");
    }
    for trouble in ["media", "audit"] {
        let data_dir = at(trouble);
        std::fs::create_dir(&data_dir).unwrap();
        std::fs::write(data_dir.join(trouble), "").unwrap();
        let wrong = checked(&data_dir, &[]).await.0;
        assert!(wrong.contains(&format!("{trouble}/{trouble}")), "{wrong}");
    }
    let pulling = ["--pet-url", "https://127.0.0.1:1/{id}"];
    for path in [at("missing"), at("file")] {
        let trusted = flag("--pull-ca-file", &path);
        let wrong = checked(&mine, &[&pulling[..], &[trusted.as_str()]].concat())
            .await
            .0;
        assert!(wrong.contains("BEGIN CERTIFICATE"), "{wrong}");
    }
    let lost = at("lost");
    std::fs::create_dir(&lost).unwrap();
    std::fs::write(lost.join("schema"), "1\n").unwrap();
    let wrong = checked(&lost, &[]).await.0;
    assert!(wrong.contains("the journal in"), "{wrong}");
}

#[tokio::test]
async fn a_check_says_what_it_did_not_read_and_what_the_start_would_warn_of() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    std::fs::create_dir(&data_dir).unwrap();
    std::fs::write(data_dir.join("x"), "").unwrap();
    let lines = async |flags: &[&str]| {
        let mut checking = bare();
        checking.args(["check", "--port", "0", "--data-dir"]);
        checking.arg(&data_dir).args(flags);
        String::from_utf8(run(checking).await.stdout).unwrap()
    };
    let said = lines(&[]).await;
    assert!(said.contains("has no data yet"), "{said}");
    assert!(!said.contains("warning"), "{said}");
    Process::start(&data_dir).await.kill();
    let said = lines(&["--admin-key", "short"]).await;
    assert!(said.contains("`jivchat verify` reads it"), "{said}");
    assert!(said.contains("warning admin key"), "{said}");
    let exposed = ["--demo", "--host", "0.0.0.0"];
    assert!(
        checked(&data_dir, &exposed)
            .await
            .1
            .contains("signs anybody in")
    );
    assert_eq!(checked(&data_dir, &["--demo"]).await.1, "");

    // The start warns before it fails for another reason.
    let mut starting = bare();
    starting.args(["--port", "0", "--jwks-file", "/no/such/keys", "--data-dir"]);
    starting.arg(&data_dir).args(exposed);
    let said = String::from_utf8(run(starting).await.stderr).unwrap();
    assert!(said.contains("signs anybody in"), "{said}");
}

#[tokio::test]
async fn an_empty_variable_is_none_and_a_wrong_one_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let checking = |value: &str| {
        let mut checking = bare();
        checking.args(["check", "--port", "0", "--data-dir"]);
        checking.arg(directory.path()).env("MAX_FILE_SIZE", value);
        checking.env("ADMIN_KEY", "").env("JWT_SECRET", "");
        run(checking)
    };
    let output = checking("").await;
    assert!(output.status.success(), "{output:?}");
    let output = checking("much").await;
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("variable MAX_FILE_SIZE"), "{said}");
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_ends_no_command() {
    let directory = tempfile::tempdir().unwrap();
    Process::start(directory.path()).await.kill();
    let at_data = ["--data-dir", directory.path().to_str().unwrap()];
    for (words, has_data) in [
        (&["check", "--port", "0"][..], true),
        (&["check", "--port", "0", "--json"], true),
        (&["verify"], true),
        (&["stats"], true),
        (&["compact"], true),
        (&["token", "--id", "asha"], true),
        (&["completions", "bash"], false),
        (&["man"], false),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut telling = bare();
        telling.args(words).stdout(writer);
        if has_data {
            telling.args(at_data);
        }
        let child = telling
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop(telling);
        let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
        let output = within("the command to end", ended).await.unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
    }
}
