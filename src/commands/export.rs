//! `export`: a stopped server's data as a file, whole or not there at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::config::{Export, ExportFormat};
use crate::exchange::{self, Exported, Format, Request, Scope};
use crate::model::Timestamp;
use crate::store::{ProgressBar, Reading};

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
    let reading = Reading::open(&inspection, |done, total| bar.update(done, total));
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
        let mut fresh = Fresh::create(&arguments.out)?;
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
        io::stdout().write_all(&text)?;
    }
    Ok(())
}

/// A file under another name until it is whole.
struct Fresh {
    file: BufWriter<File>,
    path: PathBuf,
    target: PathBuf,
    is_placed: bool,
}

impl Fresh {
    fn create(target: &Path) -> Result<Self> {
        let mut name = target
            .file_name()
            .with_context(|| format!("{} is no name of a file", target.display()))?
            .to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let path = target.with_file_name(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| path.display().to_string())?;
        Ok(Self {
            file: BufWriter::new(file),
            path,
            target: target.to_owned(),
            is_placed: false,
        })
    }

    fn place(mut self) -> Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        fs::rename(&self.path, &self.target).with_context(|| self.target.display().to_string())?;
        self.is_placed = true;
        let directory = match self.target.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        File::open(directory)?.sync_all()?;
        Ok(())
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
