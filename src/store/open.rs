//! Opening: lock the directory, recover the journal, bring the index level with it, or build the index anew.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use super::Options;
use super::checkpoint::Checkpoint;
use super::error::Error;
use super::index::{Index, Marker, Settings};
use super::keys::Tree;
use super::progress::ProgressBar;
use super::schema;
use super::transaction::Overlay;
use super::verify;
use crate::id::Mint;
use crate::journal::{
    self, Commit, DirLock, Journal, Position, Progress, ReplayError, Replayed, Write,
};
use crate::model::Timestamp;

/// Commits are applied to the index in batches of about this many bytes, which bounds memory while rebuilding. The larger, the
/// fewer times a block is changed.
const REPLAY_BYTES: usize = 24 << 20;

/// Everything that opening yields.
pub(super) struct Opened {
    pub(super) lock: DirLock,
    pub(super) journal: Journal,
    pub(super) index: Index,
    pub(super) mint: Mint,
}

/// Where the parts of a data directory are.
pub(super) fn journal_dir(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("journal")
}

/// The directory of all indexes: one, and a second while it is being filled.
pub(super) fn indexes_dir(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("db")
}

pub(super) fn open(options: &Options, settings: &Settings) -> Result<Opened, Error> {
    let data_dir = &options.data_dir;
    let journal_dir = journal_dir(data_dir);
    make_data_dir(data_dir)
        .and_then(|()| fs::create_dir_all(&journal_dir))
        .map_err(|error| refused(data_dir, &error))?;
    let lock = DirLock::acquire(data_dir).map_err(|error| Error::Open(error.to_string()))?;
    refuse_unfinished(data_dir)?;
    let has_journal = has_journal(data_dir)?;
    if has_journal {
        schema::ensure(data_dir)?;
    }
    let checkpoint = Checkpoint::load(data_dir);
    let (journal, recovered) = Journal::open(
        &journal_dir,
        journal::Options::default(),
        checkpoint.map(|checkpoint| checkpoint.position),
    )
    .map_err(|error| Error::Open(error.to_string()))?;
    if recovered.cut_bytes > 0 {
        tracing::warn!(
            bytes = recovered.cut_bytes,
            "cut a torn, unacknowledged tail off the journal"
        );
    }
    if !has_journal {
        // After the journal: a version without one is a loss, not a start that was cut off.
        schema::ensure(data_dir)?;
    }
    let index =
        open_index(data_dir, settings, checkpoint, &journal).map_err(|error| match error {
            Error::Full | Error::Io(_) => refused(data_dir, &io::Error::other(error.to_string())),
            error => error,
        })?;
    remove_other_indexes(data_dir, index.generation())
        .map_err(|error| refused(data_dir, &error))?;
    let mint = mint(&index)?;
    Ok(Opened {
        lock,
        journal,
        index,
        mint,
    })
}

/// Makes a data directory, if it is not there yet, for its owner alone: what people say is nobody else's on the machine.
pub fn make_data_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// The file that stands in a data directory while a backup is restored into it.
pub const UNFINISHED: &str = "restore-unfinished";

/// What a restore was cut off in the middle of must not pass for what was there.
pub fn refuse_unfinished(data_dir: &Path) -> Result<(), Error> {
    if !data_dir.join(UNFINISHED).exists() {
        return Ok(());
    }
    Err(Error::Open(format!(
        "a restore into {} was cut off and the data is not whole; remove that directory (and what the restore has put into a \
         --media-path beside it) and restore again",
        data_dir.display()
    )))
}

/// Whether there is a journal; changes nothing. An index or a version without one is a loss that must not pass for a first start: the journal is
/// always made first.
pub fn has_journal(data_dir: &Path) -> Result<bool, Error> {
    let has_entries = |dir: &Path| match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(refused(data_dir, &error)),
    };
    let journal = journal_dir(data_dir);
    if has_entries(&journal)? {
        return Ok(true);
    }
    if !has_entries(&indexes_dir(data_dir))? && !schema::is_there(data_dir) {
        return Ok(false);
    }
    Err(Error::Open(format!(
        "the journal in {} is missing, and everything that was said is in it; put it back from a backup, or move all of {} away \
         to begin anew with nothing",
        journal.display(),
        data_dir.display()
    )))
}

/// Says in the checkpoint that the index, which has just been synced, has everything up to `commit`, whose frame ends at
/// `position`.
pub(super) fn save_checkpoint(
    index: &Index,
    (commit, position): (u64, Position),
    data_dir: &Path,
) -> Result<(), Error> {
    let checkpoint = Checkpoint {
        generation: index.generation(),
        commit,
        position,
    };
    checkpoint
        .save(data_dir)
        .map_err(|error| match Error::of_index(&error) {
            Error::Full => Error::Full,
            _ => Error::Io(error.to_string()),
        })
}

/// The index, level with the journal and with a checkpoint that says so: caught up from the last one, or set aside and
/// rebuilt.
fn open_index(
    data_dir: &Path,
    settings: &Settings,
    checkpoint: Option<Checkpoint>,
    journal: &Journal,
) -> Result<Index, Error> {
    let reached = (journal.next_commit() - 1, journal.position());
    if let Some(checkpoint) = checkpoint {
        match catch_up(data_dir, settings, checkpoint, reached) {
            Ok(index) => {
                index.sync()?;
                save_checkpoint(&index, reached, data_dir)?;
                return Ok(index);
            }
            Err(Error::Full) => return Err(Error::Full),
            Err(error) => {
                tracing::warn!(%error, "the index cannot be used and is rebuilt from the journal");
            }
        }
    } else if reached.0 > 0 {
        tracing::warn!("there is no checkpoint; the index is rebuilt from the journal");
    }
    set_aside(&indexes_dir(data_dir)).map_err(|error| refused(data_dir, &error))?;
    let index = build(data_dir, settings, reached.1)?;
    index.sync()?;
    save_checkpoint(&index, reached, data_dir)?;
    Ok(index)
}

/// A new index from the whole journal up to `until`.
pub(super) fn build(data_dir: &Path, settings: &Settings, until: Position) -> Result<Index, Error> {
    let index = Index::open(&indexes_dir(data_dir), random(), settings)?;
    let mut bar = ProgressBar::new("rebuilding the index from the journal");
    let applied = replay(&index, data_dir, Position::START, until, |progress| {
        bar.update(progress.done, progress.total);
    });
    drop(bar);
    match applied {
        Ok(0) => {}
        Ok(commits) => tracing::info!(commits, "the index is rebuilt"),
        Err(error) => {
            index.supersede();
            return Err(error);
        }
    }
    Ok(index)
}

/// The index of `checkpoint`, with all that the journal has after it. The journal's last commit, `last`, ends at `until`.
pub(super) fn catch_up(
    data_dir: &Path,
    settings: &Settings,
    checkpoint: Checkpoint,
    (last, until): (u64, Position),
) -> Result<Index, Error> {
    let index = Index::open(&indexes_dir(data_dir), checkpoint.generation, settings)?;
    match index.marker()? {
        Some(Marker { generation, .. }) if generation != checkpoint.generation => {
            return Err(Error::Index("it belongs to another checkpoint".to_owned()));
        }
        Some(Marker { applied, .. }) if applied < checkpoint.commit => {
            return Err(Error::Index("it is behind its checkpoint".to_owned()));
        }
        // `verify` and `export` bring the index of a killed server level with a tail that nobody synced; should the power then
        // go, the rows may stay and the tail not. Other commits will bear those numbers.
        Some(Marker { applied, .. }) if applied > last => {
            return Err(Error::Index("it is ahead of the journal".to_owned()));
        }
        None => {
            return Err(Error::Index(
                "it is missing or has lost its contents".to_owned(),
            ));
        }
        Some(_) => {}
    }
    let mut bar = ProgressBar::new("replaying the end of the journal");
    let applied = replay(&index, data_dir, checkpoint.position, until, |progress| {
        bar.update(progress.done, progress.total);
    })?;
    drop(bar);
    if applied > 0 {
        tracing::info!(
            commits = applied,
            "replayed the journal's tail into the index"
        );
    }
    Ok(index)
}

/// Applies every commit after `from`, up to `until`; answers how many.
pub(super) fn replay(
    index: &Index,
    data_dir: &Path,
    from: Position,
    until: Position,
    mut progress: impl FnMut(Progress),
) -> Result<u64, Error> {
    let mut batch = Batch::new(index);
    let replayed = journal::replay_until(&journal_dir(data_dir), from, until, |commit, reached| {
        progress(reached);
        batch.push(commit)
    })
    .map_err(unreplayed)?;
    batch.finish(replayed.last_commit)
}

/// Applies the whole journal, for which no writer need vouch.
pub(super) fn replay_all(
    index: &Index,
    data_dir: &Path,
    mut progress: impl FnMut(Progress),
) -> Result<Replayed, Error> {
    let mut batch = Batch::new(index);
    let visit = |commit, reached| {
        progress(reached);
        batch.push(commit)
    };
    let replayed = journal::replay(&journal_dir(data_dir), Position::START, visit);
    let replayed = replayed.map_err(unreplayed)?;
    batch.finish(replayed.last_commit)?;
    Ok(replayed)
}

pub(super) fn unreplayed(error: ReplayError<Error>) -> Error {
    match error {
        ReplayError::Journal(error) => Error::Open(error.to_string()),
        ReplayError::Visit { source, .. } => source,
    }
}

/// Collects the rows of many commits and applies each key once, in order.
struct Batch<'a> {
    index: &'a Index,
    pending: Overlay,
    commits: u64,
    last_commit: u64,
}

impl<'a> Batch<'a> {
    fn new(index: &'a Index) -> Self {
        Self {
            index,
            pending: Overlay::default(),
            commits: 0,
            last_commit: 0,
        }
    }

    fn push(&mut self, commit: Commit) -> Result<(), Error> {
        self.commits += 1;
        self.last_commit = commit.number;
        for Write { tree, key, value } in commit.writes {
            let tree = Tree::from_code(tree).ok_or_else(|| {
                Error::Open(format!(
                    "the journal was written by a newer jivchat (tree {tree}); start that version"
                ))
            })?;
            self.pending.set(tree, key.into(), value.map(Into::into));
        }
        if self.pending.bytes() < REPLAY_BYTES {
            return Ok(());
        }
        self.apply()
    }

    fn apply(&mut self) -> Result<(), Error> {
        let pending = std::mem::take(&mut self.pending);
        let marker = Marker {
            generation: self.index.generation(),
            applied: self.last_commit,
        };
        self.index.apply(pending.slices(), marker)
    }

    /// The index has everything up to `last_commit`, and says so: also where it was just created and there is nothing to put into
    /// it, or where a base without rows stands for the commits.
    fn finish(mut self, last_commit: u64) -> Result<u64, Error> {
        let marked = self.index.marker()?.map(|marker| marker.applied);
        if self.commits > 0 || marked.is_none_or(|applied| applied < last_commit) {
            self.last_commit = last_commit;
            self.apply()?;
        }
        Ok(self.commits)
    }
}

/// Moves unusable indexes out of the way. The newest are kept for whoever wants to look at them, until the next compaction.
fn set_aside(indexes: &Path) -> io::Result<()> {
    if !indexes.exists() {
        return Ok(());
    }
    let aside = indexes.with_extension("aside");
    if aside.exists() {
        fs::remove_dir_all(&aside)?;
    }
    fs::rename(indexes, &aside)?;
    tracing::warn!(path = %aside.display(), "set the unusable index aside");
    Ok(())
}

/// Removes what a compaction or a `verify` that was cut off has left beside the index in use.
fn remove_other_indexes(data_dir: &Path, generation: u64) -> io::Result<()> {
    let indexes = indexes_dir(data_dir);
    let used = Index::path(&indexes, generation);
    for entry in fs::read_dir(&indexes)? {
        let path = entry?.path();
        if path != used && path.is_dir() {
            fs::remove_dir_all(path)?;
        }
    }
    match fs::remove_dir_all(verify::scratch_dir(data_dir)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// One mint for chats, messages and reports: no chat ever has a message's id.
fn mint(index: &Index) -> Result<Mint, Error> {
    let last = |tree| -> Result<Option<[u8; 12]>, Error> {
        Ok(index
            .last_key(tree)?
            .and_then(|key| key.first_chunk::<12>().copied()))
    };
    Ok(Mint::after(
        last(Tree::Chats)?
            .max(last(Tree::MessageIds)?)
            .max(last(Tree::Reports)?),
        random(),
    ))
}

/// Not a secret: it only tells one index or process from another, so the clock will do where the system has no
/// random bytes to give.
pub(super) fn random() -> u64 {
    getrandom::u64().unwrap_or_else(|_| Timestamp::now().0.unsigned_abs())
}

fn refused(dir: &Path, error: &io::Error) -> Error {
    Error::Open(format!(
        "the data directory {} cannot be used: {error}; make it writable for this user, see that its disk has space, or \
         name another with --data-dir",
        dir.display()
    ))
}
