//! What is shipped beside the binary (`packaging/`, `Dockerfile`): that it names flags, files and commands that there are. Whether systemd
//! and Docker like it is for those to say; here they need not be installed.

use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};
use jivchat::config::{Cli, Command};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// The value of a setting that a unit has once.
fn setting<'u>(unit: &'u str, name: &str) -> &'u str {
    let prefix = format!("{name}=");
    let mut values = unit.lines().filter_map(|line| line.strip_prefix(&prefix));
    let value = values.next().unwrap_or_else(|| panic!("no {name}"));
    assert_eq!(values.next(), None, "{name} twice");
    value
}

/// The words of an instruction in the form of a JSON list.
fn instruction(dockerfile: &str, name: &str) -> Vec<String> {
    let line = dockerfile
        .lines()
        .rev()
        .find(|line| line.starts_with(name))
        .unwrap();
    serde_json::from_str(&line[line.find('[').unwrap()..]).unwrap()
}

#[test]
fn the_unit_starts_a_server_that_tells_it_that_it_lives() {
    let unit = read("packaging/jivchat.service");
    let start = setting(&unit, "ExecStart").replace("${STATE_DIRECTORY}", "/var/lib/jivchat");
    let given = start.replace("$JIVCHAT_FLAGS", "--trusted-proxy 127.0.0.1");
    let cli = Cli::try_parse_from(given.split(' ')).unwrap();
    assert!(matches!(&cli.command, Some(Command::Serve(serve))
        if serve.storage.data_dir == Path::new("/var/lib/jivchat")));
    assert_eq!(setting(&unit, "Type"), "notify");
    assert!(setting(&unit, "WatchdogSec").parse::<u64>().unwrap() >= 30);
    // The file that it reads is the one that the package brings.
    let file = setting(&unit, "EnvironmentFile").trim_start_matches('-');
    assert!(read("Cargo.toml").contains(&format!("conf-files = [\"{file}\"]")));
    assert!(read("packaging/jivchat.default").contains("\nJIVCHAT_FLAGS="));
    // It must not be killed while it still drains.
    let grace = Cli::command();
    let grace = grace
        .get_arguments()
        .find(|flag| flag.get_id() == "shutdown_grace");
    assert!(grace.is_some());
    assert!(setting(&unit, "TimeoutStopSec").parse::<u64>().unwrap() > 11 + 1 + 3);
}

#[test]
fn the_image_starts_a_server_that_others_reach_and_asks_it_how_it_is() {
    let dockerfile = read("Dockerfile");
    let mut start = instruction(&dockerfile, "ENTRYPOINT");
    start.extend(instruction(&dockerfile, "CMD"));
    let cli = Cli::try_parse_from(&start).unwrap();
    let Some(Command::Serve(serve)) = cli.command else {
        panic!("{start:?}");
    };
    assert!(serve.network.host.is_unspecified());
    assert!(dockerfile.contains(&format!("VOLUME {}\n", serve.storage.data_dir.display())));
    assert!(dockerfile.contains(&format!("EXPOSE {}\n", serve.network.port)));
    let asked = instruction(&dockerfile, "HEALTHCHECK");
    let Some(Command::Healthcheck(asked)) = Cli::try_parse_from(&asked).unwrap().command else {
        panic!("{asked:?}");
    };
    assert!(asked.host.is_loopback() && asked.port == serve.network.port);
    let user = dockerfile
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("USER "));
    assert!(user.is_some_and(|user| !user.starts_with('0') && user != "root"));
}

#[test]
fn what_is_built_from_is_in_the_image_s_context() {
    let ignore = read(".dockerignore");
    assert!(ignore.lines().any(|line| line == "*"));
    let sent: Vec<_> = ignore
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .collect();
    for path in &sent {
        assert!(root().join(path).exists(), "{path}");
    }
    let mut wanted = vec![
        "Cargo.toml",
        "Cargo.lock",
        "build.rs",
        "src",
        "docs",
        "packaging",
    ];
    let sources = root().join("src/web/load.rs");
    let demo = std::fs::read_to_string(sources).unwrap();
    assert!(demo.contains("../../data/demo/"));
    wanted.push("data/demo");
    for path in wanted {
        assert!(sent.contains(&path), "{path}");
    }
}

#[test]
fn what_the_package_lists_is_there_or_is_made_by_the_build() {
    let manifest = read("Cargo.toml");
    let (_, list) = manifest.split_once("\nassets = [\n").unwrap();
    let (list, _) = list.split_once("\n]\n").unwrap();
    let build = read("packaging/build");
    assert!(list.lines().count() >= 5);
    for line in list.lines() {
        let row: [String; 3] = serde_json::from_str(line.trim().trim_end_matches(',')).unwrap();
        let source = row[0].as_str();
        match source.strip_prefix("target/release/") {
            None => {
                let directory = source.strip_suffix("/*").unwrap_or(source);
                assert!(root().join(directory).exists(), "{source}");
            }
            Some(made) => {
                let made = made.trim_start_matches("package/").trim_end_matches(".gz");
                assert!(build.contains(made), "packaging/build does not make {made}");
            }
        }
    }
}

#[test]
fn the_build_script_is_a_program() {
    use std::os::unix::fs::PermissionsExt as _;

    let path = root().join("packaging/build");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111);
    let checked = std::process::Command::new("bash")
        .arg("-n")
        .arg(&path)
        .status();
    assert!(checked.unwrap().success());
}
