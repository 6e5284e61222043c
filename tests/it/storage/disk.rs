//! A real file system that is really full or read-only, or whose power is cut. Mounting one needs root, so these are ignored
//! unless asked for; what runs everywhere is in `limits` and, at every single step, in the journal's and the store's own tests.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::kill::{EAGER, moment, until};
use super::load::{Known, Load};
use super::process::{Server, refused, verify};
use super::rounds;

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
        let plain = Command::new("umount").arg(&self.0).status();
        if !plain.is_ok_and(|status| status.success()) {
            let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        }
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?} needs root");
}

/// An ext4 file system in a file.
struct Device {
    image: PathBuf,
    at: PathBuf,
}

impl Device {
    fn new(directory: &Path) -> Self {
        let device = Self {
            image: directory.join("image"),
            at: directory.join("disk"),
        };
        std::fs::create_dir(&device.at).unwrap();
        let image = std::fs::File::create(&device.image).unwrap();
        image.set_len(1 << 30).unwrap();
        run("mkfs.ext4", &["-q", device.image.to_str().unwrap()]);
        device
    }

    fn mount(&self) -> Mount {
        let (image, at) = (self.image.to_str().unwrap(), self.at.to_str().unwrap());
        run("mount", &["-o", "loop", image, at]);
        Mount(self.at.clone())
    }

    /// From now on nothing reaches the device any more, not even what the file system's own log still holds in memory, and
    /// every write and sync fails. Answers what `last` gave right before.
    fn cut_the_power<T>(&self, last: impl FnOnce() -> T) -> T {
        // FS_IOC_SHUTDOWN with FS_SHUTDOWN_FLAGS_NOLOGFLUSH, as soon as it is told to.
        const CUT: &str = "open(my $disk, '<', $ARGV[0]) or die $!; my $how = pack('L', 2); print STDERR 'ready'; <STDIN>; \
            ioctl($disk, 0x8004587d, $how) or die $!";
        let mut cut = Command::new("perl")
            .args(["-e", CUT, self.at.to_str().unwrap()])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 5];
        cut.stderr.as_mut().unwrap().read_exact(&mut ready).unwrap();
        let answer = last();
        drop(cut.stdin.take());
        assert!(cut.wait().unwrap().success(), "perl needs root");
        answer
    }
}

/// Takes all the space there is.
fn fill(path: &Path) {
    use std::io::Write;
    let mut ballast = std::fs::File::create(path).unwrap();
    for size in [1 << 20, 4096, 1] {
        while ballast.write_all(&vec![0; size]).is_ok() {}
    }
}

/// The server meets a disk that fails every write and every sync. It refuses what it cannot keep, or ends by itself where a
/// sync of the journal failed, and finds everything that it had acknowledged on what the disk has kept.
#[test]
#[ignore = "mounts a loop device, which needs root"]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let device = Device::new(directory.path());
    let data = device.at.join("data");
    let mut known = Known::default();
    for round in 0..rounds() {
        let mount = device.mount();
        let flags: &[&str] = if round % 2 == 0 { &EAGER } else { &[] };
        let mut server = Server::start(&data, flags);
        let load = Load::start(&server, &known, &format!("round-{round}"));
        load.wait_for(20);
        until(moment(round, Duration::from_secs(4)), || false);
        // A sync that is under way while the file system is shut down may be told that all is well. A machine without power
        // tells nothing: what is acknowledged from here on may be lost.
        let sure = device.cut_the_power(|| known.so_far());
        let mut status = None;
        until(Duration::from_secs(30), || {
            status = server.status();
            status.is_some() || load.refused() > 20
        });
        match status {
            Some(status) => assert_eq!(status.code(), Some(1), "round {round}"),
            None => assert!(load.refused() > 20, "round {round}"),
        }
        server.kill();
        load.join();
        drop(mount);
        let mount = device.mount();
        let report = verify(&data);
        assert!(report["messages"].as_u64().unwrap() >= sure.count());
        sure.check(&Server::start(&data, &[]));
        known = sure;
        drop(mount);
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
