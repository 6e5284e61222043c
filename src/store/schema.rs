//! The version of what stands in a data directory: refused when it is newer than this program, brought up when it is older.
//!
//! The file `schema` holds the number and a line end. The journal and the records have versions of their own; this one
//! changes when the meaning of trees, keys or records does. Before anything is brought up, the journal is copied.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::error::Error;

const FILE: &str = "schema";
/// The schema that this program reads and writes.
pub const CURRENT: u32 = 1;
/// `MIGRATIONS[n]` turns version `n + 1` into `n + 2`, in a data directory that nobody else uses. Each may be interrupted and
/// run again.
const MIGRATIONS: [Migration; CURRENT as usize - 1] = [];

type Migration = fn(&Path) -> io::Result<()>;

/// Makes sure that `data_dir` has the version of this program. The caller holds its lock.
pub(super) fn ensure(data_dir: &Path) -> Result<(), Error> {
    bring_up(data_dir, &MIGRATIONS)
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
    for (version, migrate) in (found + 1..).zip(due) {
        migrate(data_dir)?;
        write(data_dir, version)?;
    }
    Ok(())
}

/// Copies the journal, which is everything but the media, and returns where to.
fn back_up(data_dir: &Path, version: u32) -> io::Result<std::path::PathBuf> {
    let kept = data_dir.join(format!("before-schema-{}", version + 1));
    if kept.exists() {
        return Ok(kept); // made by the run that was interrupted
    }
    let fresh = kept.with_extension("tmp");
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    fs::create_dir_all(fresh.join("journal"))?;
    for entry in fs::read_dir(data_dir.join("journal"))? {
        let entry = entry?;
        let copy = fresh.join("journal").join(entry.file_name());
        fs::copy(entry.path(), &copy)?;
        File::open(&copy)?.sync_all()?;
    }
    write(&fresh, version)?;
    File::open(fresh.join("journal"))?.sync_all()?;
    fs::rename(&fresh, &kept)?;
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
    use super::*;

    fn directory(schema: Option<&str>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("journal")).unwrap();
        fs::write(dir.path().join("journal/0000000000000001.log"), "as it was").unwrap();
        if let Some(text) = schema {
            fs::write(dir.path().join(FILE), text).unwrap();
        }
        dir
    }

    fn mark(data_dir: &Path) -> io::Result<()> {
        fs::write(data_dir.join("journal/0000000000000001.log"), "migrated")
    }

    fn fail(_: &Path) -> io::Result<()> {
        Err(io::Error::other("interrupted"))
    }

    #[test]
    fn a_new_directory_gets_the_version_of_the_program() {
        let dir = directory(None);
        ensure(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), "1\n");
        ensure(dir.path()).unwrap();
        assert!(!dir.path().join("before-schema-2").exists());
    }

    #[test]
    fn a_newer_one_and_one_that_is_no_version_are_refused_and_left_alone() {
        for text in ["2\n", "4000000000", "", "one", "0", "-1"] {
            let dir = directory(Some(text));
            let refused = ensure(dir.path()).unwrap_err().to_string();
            assert!(
                !refused.contains('\n') && refused.contains("backup"),
                "{refused}"
            );
            assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), text);
        }
    }

    #[test]
    fn an_older_one_is_copied_and_then_brought_up_even_if_that_was_interrupted() {
        for schema in [None, Some("1\n")] {
            let dir = directory(schema);
            assert!(bring_up(dir.path(), &[mark, fail]).is_err());
            assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), "2\n");
            bring_up(dir.path(), &[mark, mark]).unwrap();
            assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), "3\n");
            let log = "journal/0000000000000001.log";
            let kept = fs::read_to_string(dir.path().join("before-schema-2").join(log));
            assert_eq!(kept.unwrap(), "as it was");
            let now = fs::read_to_string(dir.path().join(log));
            assert_eq!(now.unwrap(), "migrated");
        }
    }
}
