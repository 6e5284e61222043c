//! What happens to the data in the middle of a backup, at a moment that the test chooses.

use std::fs;
use std::path::Path;

use super::*;
use crate::archive::Archive;
use crate::id::ChatId;
use crate::media::{self, Media};
use crate::model::{Attachment, MessageKind, Upload};
use crate::store::{Options, Store, WriterThread};

const BYTES: &[u8] = b"as good as a picture";

struct Fixture {
    root: tempfile::TempDir,
    store: Store,
    writer: WriterThread,
    runtime: tokio::runtime::Runtime,
}

fn name(number: u32) -> String {
    format!("chat-1-{number:032x}.jpg")
}

impl Fixture {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (store, writer) = Store::open(&Options {
            data_dir: root.path().join("data"),
            cache: 8 << 20,
            queue: 16,
        })
        .unwrap();
        fs::create_dir(root.path().join("media")).unwrap();
        Self {
            root,
            store,
            writer,
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
        }
    }

    fn place(&self, data_dir: &str, media: &str) -> Place {
        Place {
            data_dir: self.root.path().join(data_dir),
            media: self.root.path().join(media),
            cache: 8 << 20,
        }
    }

    fn file(&self, number: u32) -> PathBuf {
        self.root.path().join("media").join(name(number))
    }

    /// A file that is known and counted as shown by nothing, which is all that a backup looks at.
    fn upload(&self, number: u32) {
        fs::write(self.file(number), BYTES).unwrap();
        let upload = Upload {
            chat: ChatId::from([1; 12]),
            sender: "asha".parse().unwrap(),
            kind: MessageKind::Image,
            attachment: Attachment {
                name: name(number),
                mime: "image/jpeg".to_owned(),
                size: BYTES.len() as u64,
                crc32: crc32fast::hash(BYTES),
                width: None,
                height: None,
            },
            uses: 0,
        };
        let written = self.store.write(move |tx| tx.put_upload(&upload));
        self.runtime.block_on(written).unwrap();
    }

    fn delete(&self, number: u32) {
        let written = self.store.write(move |tx| {
            tx.remove_upload(&name(number))?;
            Ok::<_, store::Error>(())
        });
        self.runtime.block_on(written).unwrap();
        fs::remove_file(self.file(number)).unwrap();
    }

    /// Takes a backup; `meanwhile` runs each time the journal has been copied and its files have not.
    fn take(&self, mut meanwhile: impl FnMut(&Self, u32)) -> Result<Report, Error> {
        let mut rounds = 0;
        let mut last = None;
        take(
            &self.place("data", "media"),
            &self.root.path().join("backup"),
            &mut |step, _, _| {
                if step == Step::Replay && last != Some(step) {
                    rounds += 1;
                    meanwhile(self, rounds);
                }
                last = Some(step);
            },
        )
    }

    fn restore(&self) -> Result<Report, Error> {
        let to = self.place("restored", "restored/media");
        restore(&self.root.path().join("backup"), &to, &mut |_, _, _| ())
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn close(self) {
        drop(self.store);
        self.writer.join();
    }
}

#[test]
fn a_file_that_goes_in_the_middle_is_in_no_backup_and_one_that_comes_is() {
    let fixture = Fixture::new();
    (1..=4).for_each(|number| fixture.upload(number));
    let report = fixture.take(|fixture, round| {
        if round == 1 {
            fixture.delete(2);
            fixture.upload(5);
        }
    });
    let report = report.unwrap();
    assert_eq!(report.findings.problems, 0, "{:?}", report.findings.told);
    let backup = fixture.root.path().join("backup");
    assert_eq!(
        Fixture::names(&backup.join("media")),
        [1, 3, 4, 5].map(name)
    );
    let restored = fixture.restore().unwrap();
    assert_eq!(restored.findings.uploads, 4);
    assert_eq!(restored.findings.problems, 0);
    let media = fixture.root.path().join("restored/media");
    assert_eq!(fs::read(media.join(name(5))).unwrap(), BYTES);
    fixture.close();
}

#[test]
fn a_file_that_goes_after_it_was_copied_goes_from_the_backup_too() {
    let fixture = Fixture::new();
    (1..=3).for_each(|number| fixture.upload(number));
    let report = fixture.take(|fixture, round| match round {
        1 => fixture.delete(1),
        // Copied in the first round.
        2 => fixture.delete(2),
        _ => {}
    });
    assert_eq!(report.unwrap().findings.problems, 0);
    let media = fixture.root.path().join("backup/media");
    // Its deletion is newer than the state that is whole: the file and its row are both there.
    assert_eq!(Fixture::names(&media), [2, 3].map(name));
    fixture.close();
}

#[test]
fn compactions_in_the_middle_begin_it_anew() {
    let fixture = Fixture::new();
    (1..=3).for_each(|number| fixture.upload(number));
    let report = fixture.take(|fixture, round| {
        if round <= 2 {
            // One that was not copied yet, so that a newer state is needed.
            fixture.delete([1, 10][round as usize - 1]);
            for number in 0..3 {
                fixture.upload(10 * round + number);
                fixture.store.compact(|_, _| ()).unwrap();
            }
        }
    });
    assert_eq!(report.unwrap().findings.problems, 0);
    let media = fixture.root.path().join("backup/media");
    let expected = [2, 3, 11, 12, 20, 21, 22].map(name);
    assert_eq!(Fixture::names(&media), expected);
    let restored = fixture.restore().unwrap();
    assert_eq!(restored.findings.uploads, 7);
    fixture.close();
}

#[test]
fn a_file_that_was_lost_long_ago_does_not_stand_in_the_way() {
    let fixture = Fixture::new();
    (1..=2).for_each(|number| fixture.upload(number));
    fs::remove_file(fixture.file(1)).unwrap();
    let report = fixture.take(|_, _| ()).unwrap();
    assert_eq!(report.findings.problems, 1);
    assert!(report.findings.told[0].contains(&name(1)));
    assert_eq!(fixture.restore().unwrap().findings.problems, 1);
    fixture.close();
}

#[test]
fn data_that_never_rests_is_told_of() {
    let fixture = Fixture::new();
    fixture.upload(0);
    let refused = fixture.take(|fixture, round| {
        fixture.delete(round - 1);
        fixture.upload(round);
    });
    assert!(matches!(refused, Err(Error::Restless)));
    let left = Fixture::names(fixture.root.path());
    assert_eq!(left, ["data", "media"]);
    fixture.close();
}

#[test]
fn every_flipped_byte_is_found_and_nothing_is_restored() {
    let fixture = Fixture::new();
    fixture.upload(1);
    fixture.store.compact(|_, _| ()).unwrap();
    fixture.upload(2);
    fs::write(fixture.root.path().join("data/jwt-secret"), "s".repeat(64)).unwrap();
    fixture.take(|_, _| ()).unwrap();
    let backup = fixture.root.path().join("backup");
    let files = Archive::open(&backup).unwrap().manifest.files;
    assert_eq!(files.len(), 6, "base, segment, two files, schema, secret");
    for path in files.into_keys().chain(["manifest.json".to_owned()]) {
        let file = backup.join(&path);
        let sound = fs::read(&file).unwrap();
        for at in [0, sound.len() / 2, sound.len() - 1] {
            let mut damaged = sound.clone();
            damaged[at] ^= 1;
            fs::write(&file, damaged).unwrap();
            let refused = fixture.restore().unwrap_err().to_string();
            assert!(refused.contains(&path), "{path} byte {at}: {refused}");
        }
        for cut in [0, sound.len() - 1] {
            fs::write(&file, &sound[..cut]).unwrap();
            let refused = fixture.restore().unwrap_err().to_string();
            assert!(refused.contains(&path), "{path}: {refused}");
        }
        fs::remove_file(&file).unwrap();
        let refused = fixture.restore().unwrap_err().to_string();
        assert!(refused.contains(&path), "{path}: {refused}");
        fs::write(&file, &sound).unwrap();
        let left = Fixture::names(fixture.root.path());
        assert_eq!(left, ["backup", "data", "media"], "nothing was restored");
    }
    fixture.restore().unwrap();
    fixture.close();
}

#[test]
fn what_has_something_in_it_is_left_alone() {
    let fixture = Fixture::new();
    fixture.upload(1);
    fixture.take(|_, _| ()).unwrap();
    let again = fixture.take(|_, _| ()).unwrap_err();
    assert!(again.to_string().contains("new or empty"), "{again}");
    let target = fixture.root.path().join("restored");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("letter"), "kept").unwrap();
    assert!(matches!(fixture.restore(), Err(Error::NotEmpty(_))));
    assert_eq!(Fixture::names(&target), ["letter"]);
    fs::remove_file(target.join("letter")).unwrap();
    fixture.restore().unwrap();
    assert!(matches!(fixture.restore(), Err(Error::NotEmpty(_))));
    fixture.close();
}

/// A tar with these entries, as `write` makes them.
fn tar_of(entries: &[(&str, &[u8], tar::EntryType)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes, kind) in entries {
        let mut header = tar_header("x", bytes.len() as u64).unwrap();
        // Written by hand: the library itself would refuse some.
        let name = &mut header.as_old_mut().name;
        name.fill(0);
        name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_link_name("/etc/passwd").unwrap();
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn nothing_of_a_tar_that_is_no_backup_is_kept() {
    use tar::EntryType::{Directory, Fifo, Link, Regular, Symlink};
    let fixture = Fixture::new();
    fixture.upload(1);
    let online = online(&fixture);
    let mut whole = Vec::new();
    online.write(online.begin().unwrap(), &mut whole).unwrap();
    let place = fixture.root.path().join("unpacked");
    let unpacked = |tar: &[u8]| unpack(tar, &place, 8 << 20, &mut |_, _, _| ());
    let evil: &[(&str, tar::EntryType)] = &[
        ("../schema", Regular),
        ("/etc/cron.d/x", Regular),
        ("journal/../../x", Regular),
        ("media/notes.txt", Regular),
        ("schema", Symlink),
        ("schema", Link),
        ("schema", Fifo),
        ("journal", Directory),
        ("manifest.json", Symlink),
    ];
    for (path, kind) in evil {
        let refused = unpacked(&tar_of(&[(path, b"", *kind)])).unwrap_err();
        let told = refused.to_string();
        assert!(matches!(refused, Error::Foreign(_)), "{path}: {told}");
        assert!(!told.contains('\n'));
    }
    let twice = tar_of(&[("schema", b"1", Regular), ("schema", b"1", Regular)]);
    assert!(matches!(unpacked(&twice), Err(Error::Foreign(_))));
    let bare = tar_of(&[("schema", b"1", Regular)]);
    assert!(matches!(unpacked(&bare), Err(Error::CutShort)));
    // The end of a tar is two empty blocks, which nobody needs.
    for cut in (0..whole.len() - 1024).step_by(256) {
        assert!(unpacked(&whole[..cut]).is_err(), "cut at {cut}");
    }
    for at in (0..whole.len() - 1024).step_by(97) {
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        // What stands between the files, or in a head beside the name, says nothing of them.
        if let Ok(report) = unpacked(&flipped) {
            assert_eq!(report.findings.problems, 0);
            assert_eq!(report.findings.uploads, 1);
            fs::remove_dir_all(&place).unwrap();
        }
    }
    assert_eq!(Fixture::names(fixture.root.path()), ["data", "media"]);
    let report = unpacked(&whole).unwrap();
    assert_eq!(report.findings.uploads, 1);
    drop(online);
    fixture.close();
}

fn online(fixture: &Fixture) -> Online {
    let media = Media::open(
        &fixture.root.path().join("media"),
        media::Settings::with_max_file_size(1 << 20),
    )
    .unwrap();
    Online::new(fixture.store.clone(), media)
}

/// Runs something when the first bytes come, which is after the state was chosen.
struct Slow<'a> {
    bytes: Vec<u8>,
    meanwhile: Option<Box<dyn FnOnce() + 'a>>,
}

impl io::Write for Slow<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(meanwhile) = self.meanwhile.take() {
            meanwhile();
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_tar_holds_the_state_of_its_beginning_whatever_goes_and_comes() {
    let fixture = Fixture::new();
    (1..=3).for_each(|number| fixture.upload(number));
    let media = Media::open(
        &fixture.root.path().join("media"),
        media::Settings::with_max_file_size(1 << 20),
    )
    .unwrap();
    let online = Online::new(fixture.store.clone(), media.clone());
    let turn = online.begin().unwrap();
    assert!(online.begin().is_none(), "one at a time");
    let mut into = Slow {
        bytes: Vec::new(),
        meanwhile: Some(Box::new(|| {
            let gone = fixture.store.write(|tx| {
                tx.remove_upload(&name(2))?;
                tx.doom_file(&name(2));
                Ok::<_, store::Error>(())
            });
            fixture.runtime.block_on(gone).unwrap();
            let handle = media.clone();
            let removing = async move { handle.remove(&name(2)).await };
            fixture.runtime.block_on(removing).unwrap();
            assert!(!fixture.file(2).exists(), "its name is gone at once");
            fixture.upload(4);
            fixture.store.compact(|_, _| ()).unwrap();
            fixture.store.compact(|_, _| ()).unwrap();
        })),
    };
    online.write(turn, &mut into).unwrap();
    assert!(into.meanwhile.is_none());
    let media_dir = fixture.root.path().join("media");
    assert_eq!(
        Fixture::names(&media_dir),
        [1, 3, 4].map(name),
        "held no longer"
    );
    let backup = fixture.root.path().join("backup");
    let report = unpack(&into.bytes[..], &backup, 8 << 20, &mut |_, _, _| ()).unwrap();
    assert_eq!(report.findings.problems, 0, "{:?}", report.findings.told);
    assert_eq!(Fixture::names(&backup.join("media")), [1, 2, 3].map(name));
    assert_eq!(fixture.restore().unwrap().findings.uploads, 3);
    assert!(online.begin().is_some());
    drop((into, online));
    fixture.close();
}
