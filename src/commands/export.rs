//! `export`: a stopped server's data as a file, whole or not there at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use super::output;
use crate::config::{Export, ExportFormat};
use crate::exchange::{self, Exported, Format, Request, Scope};
use crate::model::Timestamp;
use crate::store::{self, ProgressBar, Reading};

/// Writes the export and says what is in it. Fails, after writing, if files are missing that were to be copied.
pub fn export(arguments: &Export) -> Result<()> {
    let scope = match (&arguments.user, arguments.chat) {
        (Some(user), _) => Scope::User(user.clone()),
        (None, Some(chat)) => Scope::Chat(chat),
        (None, None) => Scope::All,
    };
    let format = match arguments.format {
        ExportFormat::Ndjson => Format::Ndjson,
        ExportFormat::Json => Format::Json,
        ExportFormat::Html => Format::Html,
        ExportFormat::Text => Format::Text,
    };
    if scope == Scope::All && format != Format::Ndjson {
        bail!(
            "everything can only be exported as ndjson; name a person with --user or a chat with --chat"
        );
    }
    let inspection = arguments.data.inspection();
    let mut bar = ProgressBar::new("reading the journal");
    let elsewhere = store::elsewhere()?;
    let leftovers = Leftovers::watch()?;
    leftovers.add(&elsewhere);
    let reading = Reading::open_beside(&inspection, &elsewhere, |done, total| {
        bar.update(done, total);
    });
    drop(bar);
    let reading = reading.map_err(|error| match error.to_string() {
        held if held.contains("is in use") => anyhow::anyhow!(
            "{held}; or make a copy with `jivchat backup` while it runs, and export from that with --data-dir"
        ),
        other => anyhow::anyhow!(other),
    })?;
    let from = inspection.media.unwrap_or_default();
    let request = Request {
        scope,
        format,
        media: arguments.media.as_deref().map(|to| (from.as_path(), to)),
        link: arguments
            .media
            .as_deref()
            .and_then(|to| link(&arguments.out, to)),
        now: Timestamp::now(),
    };
    let is_stdout = arguments.out == Path::new("-");
    let mut bar = ProgressBar::new("exporting");
    let mut progress = |done, total| bar.update(done, total);
    let exported = if is_stdout {
        let mut out = BufWriter::new(io::stdout().lock());
        exchange::export(&reading.tables(), &request, &mut out, &mut progress)?
    } else {
        let mut fresh = Fresh::create(&arguments.out, &leftovers)?;
        let exported =
            exchange::export(&reading.tables(), &request, &mut fresh.file, &mut progress)?;
        fresh.place()?;
        exported
    };
    drop(bar);
    report(&exported, arguments.data.json, is_stdout)?;
    match exported.missing_files {
        0 => Ok(()),
        count => bail!("{count} files are missing or damaged; everything else is exported"),
    }
}

/// What stands before a file's name in a link of the page: the path from the page's directory to the files.
fn link(out: &Path, media: &Path) -> Option<String> {
    let beside = match out.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // It may be still to be made, and then is seen as it is written.
    let absolute = |path: &Path| fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    let (beside, media) = (absolute(beside).ok()?, absolute(media).ok()?);
    let path = media.strip_prefix(beside).ok()?.to_str()?;
    Some(match path {
        "" => String::new(),
        path => format!(
            "{}/",
            path.replace('%', "%25")
                .replace('#', "%23")
                .replace('?', "%3F")
        ),
    })
}

fn report(exported: &Exported, as_json: bool, is_stdout: bool) -> Result<()> {
    let mut text = Vec::new();
    if as_json {
        writeln!(text, "{}", serde_json::to_string(exported)?)?;
    } else {
        for (name, count) in [
            ("erased", exported.erased),
            ("users", exported.users),
            ("pets", exported.pets),
            ("chats", exported.chats),
            ("messages", exported.messages),
            ("files", exported.files),
        ] {
            writeln!(text, "{name:<8}  {count}")?;
        }
        for missing in &exported.told {
            writeln!(text, "problem: {missing}")?;
        }
    }
    if is_stdout {
        io::stderr().write_all(&text)?;
    } else {
        output::bytes(&text);
    }
    Ok(())
}

/// What must not stay when the process is told to stop, which it does at once.
#[derive(Clone, Default)]
struct Leftovers(Arc<Mutex<Vec<PathBuf>>>);

impl Leftovers {
    fn watch() -> Result<Self> {
        let leftovers = Self::default();
        let watched = leftovers.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let (mut terminate, mut interrupt) = {
            let _inside = runtime.enter();
            (
                signal(SignalKind::terminate())?,
                signal(SignalKind::interrupt())?,
            )
        };
        std::thread::spawn(move || {
            let number = runtime.block_on(async {
                tokio::select! {
                    _ = terminate.recv() => SignalKind::terminate(),
                    _ = interrupt.recv() => SignalKind::interrupt(),
                }
            });
            // Held to the end: nothing is added or placed any more.
            let paths = watched.0.lock().unwrap_or_else(PoisonError::into_inner);
            for path in paths.iter() {
                // A directory may still be written to while it is removed, and then is looked at again.
                for _ in 0..3 {
                    let _ = fs::remove_file(path);
                    let _ = fs::remove_dir_all(path);
                }
            }
            eprintln!("interrupted; nothing was exported");
            std::process::exit(128 + number.as_raw_value());
        });
        Ok(leftovers)
    }

    fn add(&self, path: &Path) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(path.to_owned());
    }
}

/// A file under another name until it is whole, locked as long as somebody writes it.
struct Fresh {
    leftovers: Leftovers,
    file: BufWriter<File>,
    path: PathBuf,
    target: PathBuf,
    is_placed: bool,
}

impl Fresh {
    fn create(target: &Path, leftovers: &Leftovers) -> Result<Self> {
        sweep(target);
        let mut name = target
            .file_name()
            .with_context(|| format!("{} is no name of a file", target.display()))?
            .to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let path = target.with_file_name(name);
        leftovers.add(&path);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| path.display().to_string())?;
        // Where there are no locks, nobody sweeps.
        let _ = file.try_lock();
        Ok(Self {
            leftovers: leftovers.clone(),
            file: BufWriter::new(file),
            path,
            target: target.to_owned(),
            is_placed: false,
        })
    }

    fn place(mut self) -> Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        let held = self.leftovers.0.lock();
        let renamed = fs::rename(&self.path, &self.target);
        drop(held);
        renamed.with_context(|| self.target.display().to_string())?;
        self.is_placed = true;
        let directory = match self.target.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        File::open(directory)?.sync_all()?;
        Ok(())
    }
}

/// Removes what exports to the same file have left that were killed.
fn sweep(target: &Path) {
    let (Some(name), Some(parent)) = (target.file_name(), target.parent()) else {
        return;
    };
    let parent = if parent == Path::new("") {
        Path::new(".")
    } else {
        parent
    };
    let Some(prefix) = name.to_str().map(|name| format!("{name}.")) else {
        return;
    };
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix(&prefix)?.strip_suffix(".tmp"));
        let is_ours = number.is_some_and(|number| number.parse::<u32>().is_ok());
        if is_ours
            && let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if !self.is_placed {
            // The export has failed already, and says so.
            let _ = fs::remove_file(&self.path);
        }
    }
}
