//! `verify`: whether a data directory may be trusted.

use anyhow::{Result, bail};
use serde_json::json;

use super::output::say;
use crate::config::Offline;
use crate::store::{self, Inspection, ProgressBar, Step, Verified};

impl Offline {
    /// What the store is asked to look at.
    pub(super) fn inspection(&self) -> Inspection {
        let media = self.media_path.clone();
        Inspection {
            data_dir: self.data_dir.clone(),
            media: Some(media.unwrap_or_else(|| self.data_dir.join("media"))),
            cache: self.cache_size << 20,
        }
    }
}

/// Checks everything, prints what was found, and fails if anything is wrong.
pub fn verify(arguments: &Offline) -> Result<()> {
    let mut step = Step::Journal;
    let mut bar = ProgressBar::new(name_of(step));
    let verified = store::verify(&arguments.inspection(), |now, done, total| {
        if now != step {
            step = now;
            bar = ProgressBar::new(name_of(step));
        }
        bar.update(done, total);
    });
    drop(bar);
    let verified = verified?;
    if arguments.json {
        say!("{}", as_json(&verified));
    } else {
        print(&verified);
    }
    match verified.findings.problems {
        0 => Ok(()),
        1 => bail!("1 problem was found"),
        count => bail!("{count} problems were found"),
    }
}

fn name_of(step: Step) -> &'static str {
    match step {
        Step::Journal => "reading the journal",
        Step::Rows => "checking the rows",
        Step::Index => "comparing the index",
    }
}

fn as_json(verified: &Verified) -> serde_json::Value {
    let findings = &verified.findings;
    json!({
        "ok": findings.problems == 0,
        "lastCommit": verified.last_commit,
        "tornBytes": verified.torn_bytes,
        "users": findings.users,
        "pets": findings.pets,
        "chats": findings.chats,
        "messages": findings.messages,
        "uploads": findings.uploads,
        "orphanedFiles": findings.orphans,
        "orphanedFileNames": findings.orphan_names,
        "problems": findings.problems,
        "told": findings.told,
    })
}

fn print(verified: &Verified) {
    let findings = &verified.findings;
    say!("commits   {}", verified.last_commit);
    say!("users     {}", findings.users);
    say!("pets      {}", findings.pets);
    say!("chats     {}", findings.chats);
    say!("messages  {}", findings.messages);
    say!("uploads   {}", findings.uploads);
    if verified.torn_bytes > 0 {
        say!(
            "{} bytes at the end of the journal were never acknowledged; the next start cuts them off",
            verified.torn_bytes
        );
    }
    if findings.orphans > 0 {
        say!(
            "{} files in the media directory belong to no message; the server removes them (--orphan-hours)",
            findings.orphans
        );
        for name in &findings.orphan_names {
            say!("orphan: {name}");
        }
    }
    for problem in &findings.told {
        say!("problem: {problem}");
    }
    if findings.problems == 0 {
        say!("all is well");
    }
}
