//! Who looked into what, and what was done to whom: one line of JSON for each deed of an admin, on disk before the deed is
//! answered. It owns two files of bounded size, the running one and the one before; it does not know what a deed means.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Take, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

const RUNNING: &str = "audit.log";
const BEFORE: &str = "audit.log.1";
/// Longest name that an admin may give themselves, in characters.
const MAX_NAME: usize = 64;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Grows by one from line to line.
    pub number: u64,
    /// When, in RFC 3339.
    pub time: String,
    /// What was done, such as `conversation.read`.
    pub action: String,
    /// To whom or what: an id.
    pub subject: String,
    /// Who did it, as they call themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// What is done, before it is.
#[derive(Debug, Clone)]
pub struct Deed {
    /// What.
    pub action: &'static str,
    /// To whom or what.
    pub subject: String,
    /// Who, as they call themselves.
    pub by: Option<String>,
    /// From where.
    pub address: Option<IpAddr>,
}

/// The log in a directory.
#[derive(Debug)]
pub struct Audit {
    directory: PathBuf,
    /// Largest size of both files together, in bytes.
    limit: u64,
    running: Mutex<Running>,
}

#[derive(Debug)]
struct Running {
    file: File,
    size: u64,
    next: u64,
}

/// Where the log of a data directory is: its directory, and the file that is written to.
pub fn places(data_dir: &Path) -> (PathBuf, PathBuf) {
    let directory = data_dir.join("audit");
    let running = directory.join(RUNNING);
    (directory, running)
}

impl Audit {
    /// Opens the log of a data directory, or begins one. A line that was cut off by a power cut stays behind and is not shown.
    pub fn open(data_dir: &Path, limit: u64) -> io::Result<Self> {
        let (directory, _) = places(data_dir);
        fs::create_dir_all(&directory)?;
        let newest = newest_of(open_both(&directory, u64::MAX)?, None, 1)?.pop_back();
        let next = newest.map_or(1, |entry| entry.number + 1);
        let mut file = open_running(&directory)?;
        let size = file.seek(SeekFrom::End(0))?;
        let is_cut_off = size > 0 && last_byte(&directory.join(RUNNING))? != b'\n';
        let mut running = Running { file, size, next };
        if is_cut_off {
            running.append(b"\n")?;
        }
        File::open(&directory)?.sync_all()?;
        Ok(Self {
            directory,
            limit,
            running: Mutex::new(running),
        })
    }

    /// Writes a deed down; it is on stable storage when this returns. Blocks.
    pub fn record(&self, deed: Deed) -> io::Result<()> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = Entry {
            number: running.next,
            time: Timestamp::now().to_string(),
            action: deed.action.to_owned(),
            subject: deed.subject,
            by: deed.by.map(|name| name.chars().take(MAX_NAME).collect()),
            address: deed.address.map(|address| address.to_string()),
        };
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        if running.size > 0 && running.size + line.len() as u64 > self.limit / 2 {
            self.turn(&mut running)?;
        }
        running.append(&line)?;
        running.next += 1;
        tracing::info!(
            target: "audit", number = entry.number, action = entry.action, subject = entry.subject, by = ?entry.by,
            address = ?entry.address, "admin"
        );
        Ok(())
    }

    /// At most `limit` lines, newest first, of those before the line with this number; and whether there are more. Blocks.
    pub fn newest(&self, before: Option<u64>, limit: usize) -> io::Result<(Vec<Entry>, bool)> {
        let files = {
            // Nobody may put the file away between the opening of the one and the other. Once open they are read without the lock: what
            // is done meanwhile is written down at once, and is seen at the next look.
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            open_both(&self.directory, running.size)?
        };
        let mut found = newest_of(files, before, limit.saturating_add(1))?;
        let has_more = found.len() > limit;
        if has_more {
            found.pop_front();
        }
        Ok((found.into_iter().rev().collect(), has_more))
    }

    /// The running file becomes the one before, which goes. One that is put away already, by a turn that got no further or by somebody
    /// else, is no reason to write nothing down ever after.
    fn turn(&self, running: &mut Running) -> io::Result<()> {
        match fs::rename(self.directory.join(RUNNING), self.directory.join(BEFORE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        running.file = open_running(&self.directory)?;
        running.size = 0;
        File::open(&self.directory)?.sync_all()
    }
}

impl Running {
    /// What could not be written whole is taken back, so that the next line begins at a beginning.
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let written = self
            .file
            .write_all(line)
            .and_then(|()| self.file.sync_data());
        if written.is_err() {
            let _ = self.file.set_len(self.size);
        } else {
            self.size += line.len() as u64;
        }
        written
    }
}

fn open_running(directory: &Path) -> io::Result<File> {
    let path = directory.join(RUNNING);
    OpenOptions::new().create(true).append(true).open(path)
}

fn last_byte(path: &Path) -> io::Result<u8> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last[0])
}

/// The file before and the first `size` bytes of the running one, of those that are there.
fn open_both(directory: &Path, size: u64) -> io::Result<Vec<Take<File>>> {
    let mut files = Vec::new();
    for (name, most) in [(BEFORE, u64::MAX), (RUNNING, size)] {
        match File::open(directory.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => files.push(opened?.take(most)),
        }
    }
    Ok(files)
}

/// The last `limit` whole lines, oldest first, of those before the line with this number. No more than these are held at once.
fn newest_of(
    files: Vec<Take<File>>,
    before: Option<u64>,
    limit: usize,
) -> io::Result<VecDeque<Entry>> {
    let mut newest = VecDeque::new();
    for file in files {
        for line in BufReader::new(file).split(b'\n') {
            let Ok(entry) = serde_json::from_slice::<Entry>(&line?) else {
                continue;
            };
            if before.is_some_and(|before| entry.number >= before) {
                continue;
            }
            if newest.len() == limit {
                newest.pop_front();
            }
            newest.push_back(entry);
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed(subject: &str) -> Deed {
        Deed {
            action: "conversation.read",
            subject: subject.to_owned(),
            by: Some("Mod".to_owned()),
            address: None,
        }
    }

    fn subjects(audit: &Audit) -> Vec<String> {
        let (entries, _) = audit.newest(None, 1000).unwrap();
        entries.into_iter().map(|entry| entry.subject).collect()
    }

    #[test]
    fn lines_survive_and_go_on_counting_after_a_line_that_was_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::open(dir.path(), 1 << 20).unwrap();
        for subject in ["a", "b"] {
            audit.record(deed(subject)).unwrap();
        }
        drop(audit);
        let mut file = open_running(&dir.path().join("audit")).unwrap();
        file.write_all(b"{\"number\":3,\"ti").unwrap();
        let audit = Audit::open(dir.path(), 1 << 20).unwrap();
        audit.record(deed("c")).unwrap();
        assert_eq!(subjects(&audit), ["c", "b", "a"]);
        let (page, has_more) = audit.newest(Some(3), 1).unwrap();
        assert_eq!((page[0].number, page[0].subject.as_str()), (2, "b"));
        assert!(has_more);
    }

    #[test]
    fn it_never_grows_past_its_limit_and_keeps_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::open(dir.path(), 4096).unwrap();
        for number in 0..200 {
            audit.record(deed(&number.to_string())).unwrap();
        }
        let size: u64 = fs::read_dir(dir.path().join("audit"))
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!(size <= 4096, "{size}");
        let kept = subjects(&audit);
        assert_eq!(kept[0], "199");
        assert!(kept.len() > 15, "{}", kept.len());
        drop(audit);
        let audit = Audit::open(dir.path(), 4096).unwrap();
        assert_eq!(audit.newest(None, 1).unwrap().0[0].number, 200);
    }

    #[test]
    fn a_running_file_that_is_put_away_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::open(dir.path(), 4096).unwrap();
        audit.record(deed("first")).unwrap();
        // As a turn leaves it that had no file handle left for the new one.
        let (directory, running) = places(dir.path());
        fs::rename(running, directory.join(BEFORE)).unwrap();
        for number in 0..40 {
            audit.record(deed(&number.to_string())).unwrap();
        }
        assert_eq!(subjects(&audit)[0], "39");
    }

    #[test]
    fn a_page_is_read_while_a_deed_is_written_down() {
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::open(dir.path(), 1 << 20).unwrap();
        for number in 0..10 {
            audit.record(deed(&number.to_string())).unwrap();
        }
        let files = open_both(&audit.directory, audit.running.lock().unwrap().size).unwrap();
        audit.record(deed("meanwhile")).unwrap();
        let newest = newest_of(files, Some(10), 3).unwrap();
        let numbers: Vec<u64> = newest.iter().map(|entry| entry.number).collect();
        assert_eq!(numbers, [7, 8, 9]);
    }
}
