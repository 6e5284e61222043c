//! `backup`: a copy of a server's data, while it runs or not.

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::download::download;
use super::output::say;
use crate::backup::{self, Place, Report, Step};
use crate::config::{Admin, Backup, Offline};
use crate::store::ProgressBar;

/// Makes a backup and prints what is in it. Fails also when the backup carries problems that the data had before.
pub fn backup(arguments: &Backup) -> Result<()> {
    // Every file of the journal is held open while it is copied.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let from = place(&arguments.from);
    let mut steps = Steps::default();
    let mut tell = |step, done, all| steps.show(step, done, all);
    let taken = match &arguments.server {
        None => backup::take(&from, &arguments.to, &mut tell),
        Some(url) => {
            let key = admin_key(&arguments.admin)?;
            let tar = download(
                url,
                "/api/admin/backup",
                &key,
                arguments.server_ca_file.as_deref(),
            )?;
            backup::unpack(tar, &arguments.to, from.cache, &mut tell)
        }
    };
    drop(steps);
    let report = taken?;
    print(
        &report,
        &arguments.to.display().to_string(),
        arguments.from.json,
    );
    complain(&report, "the backup is whole and verified")
}

fn admin_key(flags: &Admin) -> Result<String> {
    let key = match (&flags.admin_key, &flags.admin_key_file) {
        (Some(key), _) => key.clone(),
        (None, Some(path)) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the admin key file {}", path.display()))?,
        (None, None) => bail!("--server needs the server's admin key: give --admin-key-file"),
    };
    Ok(key.trim().to_owned())
}

/// Where the data of these flags is.
pub(super) fn place(flags: &Offline) -> Place {
    let media = flags.media_path.clone();
    Place {
        data_dir: flags.data_dir.clone(),
        media: media.unwrap_or_else(|| flags.data_dir.join("media")),
        cache: flags.cache_size << 20,
    }
}

/// A bar for each step.
#[derive(Default)]
pub(super) struct Steps(Option<(Step, ProgressBar)>);

impl Steps {
    pub(super) fn show(&mut self, step: Step, done: u64, all: u64) {
        let shown = self.0.take().filter(|(shown, _)| *shown == step);
        let (step, mut bar) = shown.unwrap_or_else(|| (step, ProgressBar::new(name_of(step))));
        match step {
            Step::Receive => bar.count(done),
            _ => bar.update(done, all),
        }
        self.0 = Some((step, bar));
    }
}

fn name_of(step: Step) -> &'static str {
    match step {
        Step::Copy => "copying",
        Step::Receive => "receiving",
        Step::Replay => "replaying the copy",
        Step::Rows => "checking the rows",
        Step::Sums => "checking the checksums",
    }
}

pub(super) fn print(report: &Report, path: &str, as_json: bool) {
    let (manifest, findings) = (&report.manifest, &report.findings);
    if as_json {
        let report = json!({
            "ok": findings.problems == 0,
            "path": path,
            "created": manifest.about.created,
            "lastCommit": manifest.about.last_commit,
            "files": manifest.files.len(),
            "bytes": manifest.bytes(),
            "users": findings.users,
            "pets": findings.pets,
            "chats": findings.chats,
            "messages": findings.messages,
            "uploads": findings.uploads,
            "problems": findings.problems,
            "told": findings.told,
        });
        say!("{report}");
        return;
    }
    say!("{path}");
    say!("taken     {}", manifest.about.created);
    say!("commits   {}", manifest.about.last_commit);
    say!("users     {}", findings.users);
    say!("chats     {}", findings.chats);
    say!("messages  {}", findings.messages);
    say!("uploads   {}", findings.uploads);
    say!(
        "files     {}, {} bytes",
        manifest.files.len(),
        manifest.bytes()
    );
    for problem in &findings.told {
        say!("problem: {problem}");
    }
}

/// What was wrong with the data is wrong with the backup too; whoever runs this from a script should hear of it.
pub(super) fn complain(report: &Report, achieved: &str) -> Result<()> {
    match report.findings.problems {
        0 => Ok(()),
        count => bail!(
            "{achieved}, and the data in it had {count} problems before; `jivchat verify` tells of them"
        ),
    }
}
