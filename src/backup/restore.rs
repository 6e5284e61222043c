//! Putting a backup back: into directories that are new or empty, checked on the way and once more at the end. A restore that fails
//! takes back what it did; one that is killed leaves a mark that every later start and restore sees.

use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::{Error, Place, Report, Step, Tell};
use crate::archive::{self, Archive, JOURNAL, MEDIA};
use crate::journal::DirLock;
use crate::store::{self, Replica, UNFINISHED};

/// Restores the backup in `from` into `to`.
pub fn restore(from: &Path, to: &Place, tell: &mut Tell<'_>) -> Result<Report, Error> {
    let archive = Archive::open(from)?;
    let about = &archive.manifest.about;
    if about.schema > store::SCHEMA {
        return Err(Error::Archive(archive::Error::Newer {
            what: "schema",
            found: about.schema,
            known: store::SCHEMA,
        }));
    }
    store::refuse_unfinished(&to.data_dir)?;
    let has_media = about.has_media;
    for dir in [Some(&to.data_dir), has_media.then_some(&to.media)] {
        if let Some(dir) = dir
            && !is_free(dir)?
        {
            return Err(Error::NotEmpty(dir.clone()));
        }
    }
    let mut undo = Undo::default();
    undo.make_data_dir(&to.data_dir)?;
    let lock =
        DirLock::acquire(&to.data_dir).map_err(|error| store::Error::Open(error.to_string()))?;
    undo.files.push(to.data_dir.join("LOCK"));
    let mark = to.data_dir.join(UNFINISHED);
    File::create_new(&mark)
        .and_then(|file| file.sync_all())
        .map_err(archive::Error::io("write", &mark))?;
    undo.mark = Some(mark.clone());
    sync_dir(&to.data_dir)?;
    copy_files(&archive, to, &mut undo, tell)?;
    let report = check(archive, to, tell)?;
    for dir in &undo.dirs {
        sync_dir(dir)?;
        sync_dir(dir.parent().unwrap_or(dir))?;
    }
    fs::remove_file(&mark).map_err(archive::Error::io("remove", &mark))?;
    undo.keep();
    sync_dir(&to.data_dir)?;
    sync_dir(
        to.data_dir
            .parent()
            .filter(|path| path.is_dir())
            .unwrap_or(Path::new(".")),
    )?;
    drop(lock);
    Ok(report)
}

fn copy_files(
    archive: &Archive,
    to: &Place,
    undo: &mut Undo,
    tell: &mut Tell<'_>,
) -> Result<(), Error> {
    let all = archive.manifest.bytes();
    let mut done = 0;
    undo.make_dir(&to.data_dir.join(JOURNAL))?;
    if archive.manifest.about.has_media {
        undo.make_dir(&to.media)?;
    }
    for path in archive.manifest.files.keys() {
        let target = match path.split_once('/') {
            Some((MEDIA, name)) => to.media.join(name),
            _ => to.data_dir.join(path),
        };
        undo.files.push(target.clone());
        archive.copy(path, &target, &mut |bytes| {
            done += bytes;
            tell(Step::Copy, done, all);
        })?;
    }
    Ok(())
}

/// Replays what was restored and follows every row of it.
fn check(archive: Archive, to: &Place, tell: &mut Tell<'_>) -> Result<Report, Error> {
    let manifest = archive.manifest;
    let mut replica = Replica::begin(&to.data_dir, to.cache)?;
    let replayed = replica.follow_all(|at| tell(Step::Replay, at.done, at.total))?;
    if replayed.last_commit != manifest.about.last_commit {
        return Err(Error::Short {
            expected: manifest.about.last_commit,
            found: replayed.last_commit,
        });
    }
    let findings = replica.check(Some(&to.media), |done, all| tell(Step::Rows, done, all))?;
    Ok(Report { manifest, findings })
}

/// Absent, or a directory with nothing in it.
fn is_free(dir: &Path) -> Result<bool, Error> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(archive::Error::io("read", dir)(error).into()),
    }
}

fn sync_dir(path: &Path) -> Result<(), Error> {
    let synced = File::open(path).and_then(|dir| dir.sync_all());
    Ok(synced.map_err(archive::Error::io("sync", path))?)
}

/// What was made so far. Dropped, it goes again, the mark after everything that it marks.
#[derive(Debug, Default)]
struct Undo {
    data_dir: Option<PathBuf>,
    dirs: Vec<PathBuf>,
    files: Vec<PathBuf>,
    mark: Option<PathBuf>,
}

impl Undo {
    fn make_data_dir(&mut self, path: &Path) -> Result<(), Error> {
        if !path.is_dir() {
            make_dir(path)?;
            self.data_dir = Some(path.to_owned());
        }
        Ok(())
    }

    fn make_dir(&mut self, path: &Path) -> Result<(), Error> {
        if !path.is_dir() {
            make_dir(path)?;
            self.dirs.push(path.to_owned());
        }
        Ok(())
    }

    fn keep(mut self) {
        self.data_dir = None;
        self.dirs.clear();
        self.files.clear();
        self.mark = None;
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        let mut is_clean = true;
        for file in &self.files {
            is_clean &= is_gone(&fs::remove_file(file));
        }
        for dir in self.dirs.iter().rev() {
            is_clean &= is_gone(&fs::remove_dir(dir));
        }
        // What cannot be removed stays with the mark, which says so.
        if let Some(mark) = self.mark.as_ref().filter(|_| is_clean) {
            is_clean = is_gone(&fs::remove_file(mark));
        }
        if let Some(dir) = self.data_dir.as_ref().filter(|_| is_clean) {
            let _ = fs::remove_dir(dir);
        }
    }
}

fn make_dir(path: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    Ok(made.map_err(archive::Error::io("make", path))?)
}

fn is_gone(removed: &std::io::Result<()>) -> bool {
    match removed {
        Ok(()) => true,
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}
