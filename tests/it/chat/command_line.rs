//! What the binary says of itself: help, manual pages, completions, and what it makes of words that it does not know.

use std::process::Output;

use jivchat::config;

use super::process::bare;
use super::within;

async fn run(arguments: &[&str]) -> Output {
    let mut command = bare();
    command.args(arguments);
    let ended = tokio::task::spawn_blocking(move || command.output().unwrap());
    within("the command to end", ended).await.unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// The long names of a command's flags.
fn flags(command: &clap::Command) -> Vec<String> {
    let long = command.get_arguments().filter_map(clap::Arg::get_long);
    long.map(str::to_owned).collect()
}

#[tokio::test]
async fn words_that_nobody_knows_are_answered_with_those_that_they_might_be() {
    for (arguments, meant) in [
        (&["--tls-crt", "x"][..], "--tls-cert"),
        (&["serve", "--data-dri", "x"], "--data-dir"),
        (&["healtcheck"], "healthcheck"),
        (&["token", "inspct"], "inspect"),
        (&["--log-format", "jsn"], "json"),
    ] {
        let output = run(arguments).await;
        let said = text(output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(
            said.contains(&format!("'{meant}'")) || said.contains(meant),
            "{said}"
        );
        assert!(said.contains("similar"), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn help_has_no_colour_where_nobody_sees_it_and_names_every_range() {
    let help = text(run(&["serve", "--help"]).await.stdout);
    assert!(!help.contains('\u{1b}'));
    let words: Vec<_> = help.split_whitespace().collect();
    let words = words.join(" ");
    for told in [
        "[from 0 to 65535] [env: PORT=] [default: 3010]",
        "[from 1 to 1000000] [default: 20000]",
        "[at least 1024] [env: MAX_FILE_SIZE=] [default: 52428800]",
    ] {
        assert!(words.contains(told), "{told}");
    }
    let short = text(run(&["-h"]).await.stdout);
    assert!(short.contains("[from 0 to 65535]"), "{short}");
    let outside = run(&["--max-connections", "0"]).await;
    assert!(text(outside.stderr).contains("1..=1000000"));
}

#[tokio::test]
async fn manual_pages_and_completions_know_every_command_and_flag() {
    let directory = tempfile::tempdir().unwrap();
    let command = config::command();
    let pages = run(&["man", "--dir", directory.path().to_str().unwrap()]).await;
    assert!(pages.status.success(), "{pages:?}");
    let page = |name: &str| {
        let path = directory.path().join(format!("{name}.1"));
        let roff = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        roff.replace("\\-", "-")
    };
    let main = page("jivchat");
    let printed = text(run(&["man"]).await.stdout);
    assert!(printed.replace("\\-", "-") == main, "two manual pages");
    let known = |page: &str, command: &clap::Command| {
        for flag in flags(command) {
            assert!(page.contains(&format!("--{flag}")), "no --{flag}");
        }
    };
    known(&main, &command);
    let shells = ["bash", "zsh", "fish", "elvish", "powershell"];
    let mut scripts = Vec::new();
    for shell in shells {
        scripts.push(text(run(&["completions", shell]).await.stdout));
    }
    for sub in command.get_subcommands() {
        let name = sub.get_name();
        assert!(main.contains(&format!("jivchat-{name}(1)")), "{name}");
        known(&page(&format!("jivchat-{name}")), sub);
        for (shell, script) in shells.iter().zip(&scripts) {
            assert!(script.contains(name), "{shell} does not know {name}");
            for flag in flags(sub) {
                assert!(script.contains(&flag), "{shell} does not know --{flag}");
            }
        }
    }
    let nowhere = run(&["man", "--dir", "/no/such/directory"]).await;
    let said = text(nowhere.stderr);
    assert!(
        !nowhere.status.success() && said.contains("/no/such/directory"),
        "{said}"
    );
}
