//! Who looked into what, and what was done to whom: one line of JSON for each deed of an admin, on disk before the deed is
//! answered. It owns two files of bounded size, the running one and the one before; it does not know what a deed means.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
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

impl Audit {
    /// Opens the log of a data directory, or begins one. A line that was cut off by a power cut stays behind and is not shown.
    pub fn open(data_dir: &Path, limit: u64) -> io::Result<Self> {
        let directory = data_dir.join("audit");
        fs::create_dir_all(&directory)?;
        let next = newest_of(&directory)?.map_or(1, |entry| entry.number + 1);
        let mut file = open_running(&directory)?;
        let size = file.seek(SeekFrom::End(0))?;
        let mut running = Running { file, size, next };
        if size > 0 && !fs::read(directory.join(RUNNING))?.ends_with(b"\n") {
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
        // Nobody may put the file away between the reading of the one and the other.
        let _running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = lines_of(&self.directory.join(BEFORE))?;
        found.extend(lines_of(&self.directory.join(RUNNING))?);
        found.retain(|entry| before.is_none_or(|before| entry.number < before));
        let has_more = found.len() > limit;
        found.reverse();
        found.truncate(limit);
        Ok((found, has_more))
    }

    /// The running file becomes the one before, which goes.
    fn turn(&self, running: &mut Running) -> io::Result<()> {
        fs::rename(self.directory.join(RUNNING), self.directory.join(BEFORE))?;
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

fn newest_of(directory: &Path) -> io::Result<Option<Entry>> {
    let running = lines_of(&directory.join(RUNNING))?.pop();
    match running {
        Some(newest) => Ok(Some(newest)),
        None => Ok(lines_of(&directory.join(BEFORE))?.pop()),
    }
}

/// The lines that are whole.
fn lines_of(path: &Path) -> io::Result<Vec<Entry>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut entries = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        entries.extend(serde_json::from_slice::<Entry>(&line?).ok());
    }
    Ok(entries)
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
}
