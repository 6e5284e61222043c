//! Every command of the pages, in the order in which they stand, page by page: in a directory that goes away, against a server that
//! the commands themselves start, or one with the demo's data where a page takes one for granted. A block that cannot be run says so
//! in its first line, and there are few.

use std::path::Path;
use std::process::{Output, Stdio};

use image::ImageFormat;
use tokio::process::Command;

use super::page::{Block, Page, RUN, Step, root};
use crate::support::photos;

/// For a page, in seconds; only a broken build is this slow.
const PATIENCE: &str = "300";
const PRELUDE: &str = include_str!("prelude.sh");
/// A server as most pages take it for granted.
const RUNNING: &str =
    "jivchat --demo --data-dir /var/lib/jivchat --admin-key-file /etc/jivchat/admin-key";

/// The only directories that the pages name, below one of our own.
fn moved(text: &str, home: &Path) -> String {
    let home = home.to_str().unwrap();
    let mut text = text.replace("target/release/jivchat", "jivchat");
    for directory in ["/var/lib/jivchat", "/etc/jivchat", "/backups"] {
        text = text.replace(directory, &format!("{home}{directory}"));
    }
    text
}

/// `NAME=<an id>`: in a test the id is another one, that of the last answer.
fn chosen(command: &str, step: usize) -> String {
    let is_id = |id: &str| id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    match command.split_once('=') {
        Some((name, id)) if is_id(id) => {
            let last = step - 1;
            format!(
                r#"{name}=$(sed -nE 's/.*"data":\{{"_id":"([0-9a-f]+)".*/\1/p' "$ROOT/out.{last}")"#
            )
        }
        _ => command.to_owned(),
    }
}

fn script(steps: &[Step], home: &Path, begins_running: bool) -> String {
    let run = |name: &str, command: &str| {
        format!("step={name}\n{{\n{command}\n}} >\"$ROOT/out.{name}\"\n")
    };
    let mut parts = vec![PRELUDE.to_owned()];
    if begins_running {
        parts.push(run("before", &moved(RUNNING, home)));
    }
    for (index, step) in steps.iter().enumerate() {
        let command = chosen(&moved(&step.command, home), index);
        parts.push(run(&index.to_string(), &command));
    }
    parts.concat()
}

/// A directory with all that the pages speak of.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let below = |path: &str| home.path().join(path);
    for directory in [
        "var/lib",
        "etc/jivchat",
        "backups",
        "work/uploads/chat_media",
    ] {
        std::fs::create_dir_all(below(directory)).unwrap();
    }
    for name in ["secret", "admin-key"] {
        let secret = format!("the {name} of the commands in the documentation");
        std::fs::write(below("etc/jivchat").join(name), secret).unwrap();
    }
    let kitten = photos::picture(64, 48, ImageFormat::Jpeg);
    std::fs::write(below("work/kitten.jpg"), kitten).unwrap();
    std::fs::write(below("work/page.html"), "<p>A page</p>").unwrap();
    home
}

async fn run(script: &str, home: &Path) -> Output {
    let secret = std::fs::read_to_string(home.join("etc/jivchat/secret")).unwrap();
    // `timeout` ends the servers that the script has started with it.
    let mut command = Command::new("timeout");
    command.args(["-k", "5", PATIENCE, "bash", "-c", script]);
    command.current_dir(home.join("work"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    command.env("ROOT", home).env("HOME", home);
    command.env("JIVCHAT", env!("CARGO_BIN_EXE_jivchat"));
    command.env(
        "FIXTURES",
        root().join("tests/it/storage/fixtures/original"),
    );
    command.env("SECRET_OF_YOUR_BACKEND", secret);
    command.env("MONGO_URL", "mongodb://localhost/jivbook");
    command.stdin(Stdio::null()).output().await.unwrap()
}

/// What differs from run to run made the same: ids and times. Line ends too.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let run = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
        let end = if run == 24 {
            24
        } else {
            run.max(next.len_utf8())
        };
        let (head, tail) = rest.split_at(end);
        match run {
            24 => plain.push_str("<id>"),
            _ if is_time(rest) => {
                plain.push_str("<time>");
                rest = &rest[24..];
                continue;
            }
            _ => plain.extend(head.chars().filter(|letter| *letter != '\n')),
        }
        rest = tail;
    }
    plain
}

/// `2026-11-22T12:08:03.293Z` and the like.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 24
        && bytes[4] == b'-'
        && bytes[10] == b'T'
        && bytes[19] == b'.'
        && bytes[23] == b'Z'
}

fn check_output(path: &str, step: &Step, output: &str) {
    let said = plain(output);
    let mut rest = said.as_str();
    for fragment in plain(&step.output).split('…') {
        let Some((_, after)) = rest.split_once(fragment) else {
            panic!(
                "{path}: `{}` does not say\n{fragment}\nbut\n{said}",
                step.command
            );
        };
        rest = after;
    }
    let may_fail = step.output.contains(r#""success":false"#);
    assert_eq!(
        output.contains(r#""success":false"#),
        may_fail,
        "{path}: `{}`: {output}",
        step.command
    );
}

async fn check(path: &'static str) {
    let page = Page::read(path);
    let steps: Vec<Step> = page.blocks().iter().flat_map(Block::steps).collect();
    if steps.is_empty() {
        return;
    }
    let home = home();
    let begins_running = path != "README.md";
    let script = script(&steps, home.path(), begins_running);
    let ended = run(&script, home.path()).await;
    let complaint = String::from_utf8_lossy(&ended.stderr);
    assert!(
        ended.status.success(),
        "{path}: {}\n{complaint}\n{script}",
        ended.status
    );
    for (index, step) in steps.iter().enumerate() {
        let output = std::fs::read_to_string(home.path().join(format!("out.{index}"))).unwrap();
        check_output(path, step, &output);
    }
}

#[tokio::test]
async fn the_tour_is_as_it_is_told() {
    check("README.md").await;
}

#[tokio::test]
async fn the_commands_beside_a_marketplace_work() {
    check("docs/beside.md").await;
}

#[tokio::test]
async fn the_commands_of_moving_work() {
    check("docs/moving.md").await;
}

#[tokio::test]
async fn the_commands_of_running_it_work() {
    check("docs/operations.md").await;
}

#[tokio::test]
async fn the_commands_of_the_other_pages_work() {
    let own = [
        "README.md",
        "docs/beside.md",
        "docs/moving.md",
        "docs/operations.md",
    ];
    for path in RUN.into_iter().filter(|path| !own.contains(path)) {
        check(path).await;
    }
}

#[test]
fn few_commands_are_not_run_and_each_says_why() {
    let pages = RUN.map(Page::read);
    let blocks = pages.iter().flat_map(Page::blocks).collect::<Vec<_>>();
    let excuses: Vec<&str> = blocks.iter().filter_map(|block| block.excuse()).collect();
    assert!(excuses.len() <= 4, "{excuses:?}");
    assert!(excuses.iter().all(|excuse| excuse.len() > 3), "{excuses:?}");
    let run: usize = blocks.iter().map(|block| block.steps().len()).sum();
    assert!(run >= 12, "only {run} commands were found");
}

#[test]
fn ids_and_times_are_looked_over_and_nothing_else() {
    let text = "{\"_id\":\"6b02db22a8284c0405000000\",\"at\":\"2026-11-22T12:08:03.293Z\",\"price\":12500}\n";
    assert_eq!(plain(text), r#"{"_id":"<id>","at":"<time>","price":12500}"#);
}
