//! A real file system that is really full or read-only. Mounting one needs root, so these are ignored unless asked for; what
//! runs everywhere is in `limits` and, at every single step, in the journal's own tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::load::{Known, Load};
use super::process::{Server, refused, verify};

/// A file system in memory; unmounted when it is dropped.
pub(super) struct Mount(pub(super) PathBuf);

impl Mount {
    pub(super) fn new(at: &Path, size: &str) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let options = format!("size={size}");
        run(
            "mount",
            &["-t", "tmpfs", "-o", &options, "tmpfs", at.to_str().unwrap()],
        );
        Self(at.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // What is still open there ends with its process.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?} needs root");
}

/// Takes all the space there is.
fn fill(path: &Path) {
    use std::io::Write;
    let mut ballast = std::fs::File::create(path).unwrap();
    for size in [1 << 20, 4096, 1] {
        while ballast.write_all(&vec![0; size]).is_ok() {}
    }
}

#[test]
#[ignore = "mounts a tmpfs, which needs root"]
fn a_full_disk_refuses_writes_keeps_reads_and_recovers_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let mount = Mount::new(&directory.path().join("disk"), "96m");
    let data = mount.0.join("data");
    let known = Known::default();
    let server = Server::start(&data, &[]);
    let load = Load::start(&server, &known, "load");
    load.wait_for(100);
    for round in 0..3 {
        let ballast = mount.0.join("ballast");
        fill(&ballast);
        let before = load.refused();
        load.wait_until("a refusal", || load.refused() > before + 20);
        known.check(&server);
        std::fs::remove_file(&ballast).unwrap();
        load.wait_for(100 * (round + 1));
    }
    load.stop();
    known.check(&server);
    server.kill();
    verify(&data);
    known.check(&Server::start(&data, &[]));
}

#[test]
#[ignore = "mounts a tmpfs, which needs root"]
fn a_read_only_file_system_is_refused_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let mount = Mount::new(&directory.path().join("disk"), "64m");
    let data = mount.0.join("data");
    Server::start(&data, &[]).terminate();
    run("mount", &["-o", "remount,ro", mount.0.to_str().unwrap()]);
    let (output, took) = refused(&data);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(told.trim().lines().count(), 1, "{told}");
    assert!(told.contains("Read-only"), "{told}");
    assert!(took < Duration::from_secs(10));
}
