//! The flags in `--help` against those in the pages' tables, both ways.

use std::collections::BTreeSet;
use std::process::Command;

use super::page::{Page, RUN};

/// Commands with flags of their own.
const COMMANDS: [&str; 11] = [
    "serve",
    "token",
    "import",
    "export",
    "backup",
    "restore",
    "verify",
    "compact",
    "stats",
    "check",
    "healthcheck",
];
/// Of another program that a page speaks of.
const OTHERS: [&str; 1] = ["--pretty"];
/// Everybody has them.
const EVERYWHERE: [&str; 2] = ["--help", "--version"];

/// Every `--word` of a text.
fn flags_in(text: &str) -> BTreeSet<String> {
    let is_part =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let words = text.split(|letter| !is_part(letter));
    let flags =
        words.filter(|word| word.starts_with("--") && word.len() > 3 && !word.ends_with('-'));
    flags
        .filter(|word| word.as_bytes()[2] != b'-')
        .map(str::to_owned)
        .collect()
}

/// What a command takes, as its help says: the lines that begin with a flag.
fn offered(command: &str) -> BTreeSet<String> {
    let help = Command::new(env!("CARGO_BIN_EXE_jivchat"))
        .args([command, "--help"])
        .output()
        .unwrap();
    assert!(help.status.success(), "{help:?}");
    let text = String::from_utf8(help.stdout).unwrap();
    let lines = text
        .lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with('-'));
    let flags = lines.flat_map(|line| flags_in(line.split("  ").next().unwrap_or(line)));
    flags
        .filter(|flag| !EVERYWHERE.contains(&flag.as_str()))
        .collect()
}

/// The flags in the first cells of the tables.
fn tabled() -> BTreeSet<String> {
    let pages = Page::all();
    let rows = pages
        .iter()
        .flat_map(|page| page.text.lines())
        .filter(|line| line.starts_with("| `--"));
    let cells = rows.flat_map(|row| {
        row.trim_start_matches('|')
            .split('|')
            .take(1)
            .map(flags_in)
            .collect::<Vec<_>>()
    });
    let mut found: BTreeSet<String> = cells.flatten().collect();
    // A table that has a column for it names the flag that is counted per address without its end.
    let per_address: Vec<String> = found
        .iter()
        .map(|flag| format!("{flag}-per-address"))
        .collect();
    found.extend(per_address);
    found
}

#[test]
fn every_flag_of_the_server_is_in_a_table() {
    let tabled = tabled();
    let missing: Vec<String> = offered("serve")
        .into_iter()
        .filter(|flag| !tabled.contains(flag))
        .collect();
    assert!(missing.is_empty(), "in --help and in no table: {missing:?}");
}

#[test]
fn every_flag_of_the_pages_exists() {
    let all: BTreeSet<String> = COMMANDS.into_iter().flat_map(offered).collect();
    for page in RUN.map(Page::read) {
        let quoted = page.text.split('`').skip(1).step_by(2);
        let named = quoted
            .filter(|text| text.starts_with("--"))
            .flat_map(flags_in);
        for flag in named.filter(|flag| !OTHERS.contains(&flag.as_str())) {
            assert!(all.contains(&flag), "{}: there is no {flag}", page.path);
        }
    }
}
