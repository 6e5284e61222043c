//! The version of what stands in a data directory: refused when it is newer than this program, brought up when it is older.
//!
//! The file `schema` holds the number and a line end. The journal and the records have versions of their own; this one
//! changes when the meaning of trees, keys or records does. Before anything is brought up, a backup is made.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::archive::{self, About, Draft, JOURNAL, SCHEMA, SECRET};
use crate::journal;
use crate::model::Timestamp;

const FILE: &str = "schema";
/// The schema that this program reads and writes.
pub const CURRENT: u32 = 1;
/// `MIGRATIONS[n]` turns version `n + 1` into `n + 2`, in a data directory that nobody else uses, by appending commits to its
/// journal. Each may be interrupted and run again.
const MIGRATIONS: [Migration; CURRENT as usize - 1] = [];

type Migration = fn(&Path) -> io::Result<()>;

/// Makes sure that `data_dir` has the version of this program. The caller holds its lock.
pub(super) fn ensure(data_dir: &Path) -> Result<(), Error> {
    bring_up(data_dir, &MIGRATIONS)
}

/// Whether a server has ever been here.
pub(super) fn is_there(data_dir: &Path) -> bool {
    data_dir.join(FILE).exists()
}

/// The schema of a data directory; refused when this program does not know it. Changes nothing.
pub fn of(data_dir: &Path) -> Result<u32, Error> {
    Ok(read(data_dir, CURRENT)?.unwrap_or(1))
}

/// Refuses a version that this program does not know. Changes nothing.
pub(super) fn check(data_dir: &Path) -> Result<(), Error> {
    read(data_dir, CURRENT).map(drop)
}

fn bring_up(data_dir: &Path, migrations: &[Migration]) -> Result<(), Error> {
    let current = u32::try_from(migrations.len() + 1).unwrap_or(u32::MAX);
    let found = match read(data_dir, current)? {
        Some(found) => found,
        // A directory that is new, or from before there was such a file.
        None => write(data_dir, 1)
            .map(|()| 1)
            .map_err(|error| failed(data_dir, &error))?,
    };
    bring_up_from(found, data_dir, migrations).map_err(|error| failed(data_dir, &error))
}

/// The version of the directory, at most `current`; `None` if it has none yet.
fn read(data_dir: &Path, current: u32) -> Result<Option<u32>, Error> {
    let found = match fs::read(data_dir.join(FILE)) {
        Ok(text) => str::from_utf8(&text)
            .ok()
            .and_then(|text| text.trim().parse().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(data_dir, &error)),
    };
    let shown = data_dir.display();
    match found {
        Some(found @ 1..) if found <= current => Ok(Some(found)),
        Some(found @ 1..) => Err(Error::Open(format!(
            "the data directory {shown} has schema {found} and this jivchat knows only up to {current}; start the newer \
             version, or restore a backup that was made with this one"
        ))),
        _ => Err(Error::Open(format!(
            "the file {} holds no version; restore the data directory from a backup, or write the number into it that its \
             server had (this one has {current})",
            data_dir.join(FILE).display()
        ))),
    }
}

fn failed(data_dir: &Path, error: &io::Error) -> Error {
    Error::Open(format!(
        "the schema of {} cannot be read or brought up to date: {error}; see that the disk has space and the directory is \
         writable, then start again",
        data_dir.display()
    ))
}

fn bring_up_from(found: u32, data_dir: &Path, migrations: &[Migration]) -> io::Result<()> {
    let done = usize::try_from(found - 1).unwrap_or(usize::MAX);
    let due = migrations.get(done..).unwrap_or_default();
    if due.is_empty() {
        return Ok(());
    }
    let kept = back_up(data_dir, found)?;
    tracing::warn!(from = found, backup = %kept.display(), "bringing the data directory up to date");
    // The index is one of the older schema: without its checkpoint it is built anew.
    match fs::remove_file(data_dir.join("checkpoint")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    for (version, migrate) in (found + 1..).zip(due) {
        migrate(data_dir)?;
        write(data_dir, version)?;
    }
    Ok(())
}

/// Makes a backup of everything but the media, which no migration touches, and returns where it is.
fn back_up(data_dir: &Path, version: u32) -> io::Result<PathBuf> {
    let backups = data_dir.join("backups");
    let kept = backups.join(format!("before-schema-{}", version + 1));
    if kept.exists() {
        return Ok(kept); // made by the run that was interrupted
    }
    let failed = |error: archive::Error| io::Error::other(error.to_string());
    fs::create_dir_all(&backups)?;
    let mut draft = Draft::begin(&kept).map_err(failed)?;
    let target = draft.dir().join(JOURNAL);
    let mut copy = journal::Copy::begin(&data_dir.join(JOURNAL), &target);
    copy.advance(|_, _| ()).map_err(io::Error::other)?;
    for name in journal::names(&target).map_err(io::Error::other)? {
        let path = format!("{JOURNAL}/{}", name.on_disk());
        draft.adopt(&path).map_err(failed)?;
    }
    let text = format!("{version}\n");
    let mut files: Vec<(&str, Box<dyn io::Read>)> = vec![(SCHEMA, Box::new(text.as_bytes()))];
    let secret = data_dir.join(SECRET);
    if secret.exists() {
        files.push((SECRET, Box::new(File::open(secret)?)));
    }
    for (path, mut from) in files {
        draft.add(path, &mut from, &mut |_| ()).map_err(failed)?;
    }
    let about = About {
        created: Timestamp::now().to_string(),
        jivchat: env!("CARGO_PKG_VERSION").to_owned(),
        schema: version,
        last_commit: copy.last_commit(),
        has_media: false,
    };
    draft.finish(about, |_, _| ()).map_err(failed)?;
    File::open(data_dir)?.sync_all()?;
    Ok(kept)
}

fn write(data_dir: &Path, version: u32) -> io::Result<()> {
    let fresh = data_dir.join("schema.new");
    let mut file = File::create(&fresh)?;
    writeln!(file, "{version}")?;
    file.sync_all()?;
    fs::rename(&fresh, data_dir.join(FILE))?;
    File::open(data_dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::codec;
    use super::super::keys::Tree;
    use super::super::tests::{close, open};
    use super::*;
    use crate::archive::Archive;
    use crate::backup::{self, Place};
    use crate::journal::{Commit, Journal, Position, Write as Row};
    use crate::model::User;

    /// A data directory of schema 1, as that version wrote it.
    fn directory(schema: Option<&str>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/backup-1");
        let to = place(dir.path());
        backup::restore(&fixture, &to, &mut |_, _, _| ()).unwrap();
        match schema {
            Some(text) => fs::write(to.data_dir.join(FILE), text).unwrap(),
            None => fs::remove_file(to.data_dir.join(FILE)).unwrap(),
        }
        dir
    }

    fn place(root: &Path) -> Place {
        Place {
            data_dir: root.join("data"),
            media: root.join("data/media"),
            cache: 8 << 20,
        }
    }

    /// What the schema after the first might have changed: every name is in capitals.
    fn raise_names(data_dir: &Path) -> io::Result<()> {
        let dir = data_dir.join(JOURNAL);
        let mut writes = Vec::new();
        let raised = journal::replay(&dir, Position::START, |commit, _| {
            for row in commit.writes {
                if row.tree == Tree::Users as u8
                    && let Some(value) = &row.value
                {
                    let mut user: User = codec::decode(Tree::Users, value)?;
                    user.name = user.name.to_uppercase();
                    let value = codec::encode(Tree::Users, &user)?;
                    writes.push(Row {
                        value: Some(value),
                        ..row
                    });
                }
            }
            Ok::<_, Error>(())
        });
        raised.map_err(io::Error::other)?;
        let (mut journal, _) =
            Journal::open(&dir, journal::Options::default(), None).map_err(io::Error::other)?;
        let commit = Commit {
            number: journal.next_commit(),
            writes,
            events: Vec::new(),
        };
        journal.append(&[commit]).map_err(io::Error::other)?;
        Ok(())
    }

    fn fail(_: &Path) -> io::Result<()> {
        Err(io::Error::other("interrupted"))
    }

    fn schema(data_dir: &Path) -> String {
        fs::read_to_string(data_dir.join(FILE)).unwrap()
    }

    fn name_of(data_dir: &Path, id: &str) -> String {
        let opened = open(data_dir);
        let user = opened.0.snapshot().user(&id.parse().unwrap());
        close(opened);
        user.unwrap().unwrap().name
    }

    #[test]
    fn a_new_directory_gets_the_version_of_the_program() {
        let dir = tempfile::tempdir().unwrap();
        ensure(dir.path()).unwrap();
        assert_eq!(schema(dir.path()), format!("{CURRENT}\n"));
        ensure(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_newer_one_and_one_that_is_no_version_are_refused_and_left_alone() {
        for text in ["2\n", "4000000000", "", "one", "0", "-1"] {
            let dir = directory(Some(text));
            let data_dir = place(dir.path()).data_dir;
            let refused = ensure(&data_dir).unwrap_err().to_string();
            assert!(
                !refused.contains('\n') && refused.contains("backup"),
                "{refused}"
            );
            assert_eq!(schema(&data_dir), text);
        }
    }

    #[test]
    fn an_older_one_is_backed_up_and_then_brought_up_even_if_that_was_interrupted() {
        for text in [None, Some("1\n")] {
            let dir = directory(text);
            let data_dir = place(dir.path()).data_dir;
            if text.is_some() {
                assert_eq!(name_of(&data_dir, "asha"), "asha", "has an index");
            }
            assert!(bring_up(&data_dir, &[raise_names, fail]).is_err());
            assert_eq!(schema(&data_dir), "2\n");
            bring_up(&data_dir, &[raise_names, raise_names]).unwrap();
            assert_eq!(schema(&data_dir), "3\n");
            // This program stops at 1; the rows are there all the same.
            write(&data_dir, 1).unwrap();
            assert_eq!(name_of(&data_dir, "asha"), "ASHA");
            let first = data_dir.join("backups/before-schema-2");
            let kept = Archive::open(&first).unwrap().manifest.about;
            assert_eq!((kept.schema, kept.has_media), (1, false));
            let to = Place {
                data_dir: dir.path().join("back"),
                media: place(dir.path()).media,
                cache: 8 << 20,
            };
            let report = backup::restore(&first, &to, &mut |_, _, _| ()).unwrap();
            assert_eq!((report.findings.problems, report.findings.uploads), (0, 1));
            assert_eq!(name_of(&to.data_dir, "asha"), "asha", "as it was");
        }
    }

    #[test]
    fn without_a_backup_nothing_is_brought_up() {
        let dir = directory(Some("1\n"));
        let data_dir = place(dir.path()).data_dir;
        fs::write(data_dir.join("backups"), "in the way").unwrap();
        assert!(bring_up(&data_dir, &[raise_names]).is_err());
        assert_eq!(schema(&data_dir), "1\n");
        assert_eq!(name_of(&data_dir, "asha"), "asha");
    }
}
