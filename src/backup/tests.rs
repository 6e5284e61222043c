//! What happens to the data in the middle of a backup, at a moment that the test chooses.

use std::fs;
use std::path::Path;

use super::*;
use crate::archive::Archive;
use crate::id::ChatId;
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
            tx.remove_upload(&name(number));
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
