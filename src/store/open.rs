//! Opening: lock the directory, recover the journal, bring the index level with it, or build the index anew.

use std::fs;
use std::path::Path;

use super::Options;
use super::checkpoint::Checkpoint;
use super::error::Error;
use super::index::{Index, Marker};
use super::keys::Tree;
use super::transaction::Mints;
use crate::id::Mint;
use crate::journal::{self, Commit, DirLock, Journal, Position, ReplayError};
use crate::model::Timestamp;

/// Commits are applied to the index in batches of this many changed rows, which bounds memory while rebuilding.
const REPLAY_ROWS: usize = 20_000;

/// Everything that opening yields.
pub(super) struct Opened {
    pub(super) lock: DirLock,
    pub(super) journal: Journal,
    pub(super) index: Index,
    pub(super) generation: u64,
    pub(super) mints: Mints,
}

pub(super) fn open(options: &Options) -> Result<Opened, Error> {
    let data_dir = &options.data_dir;
    let journal_dir = data_dir.join("journal");
    fs::create_dir_all(&journal_dir).map_err(|error| refused(data_dir, &error))?;
    let lock = DirLock::acquire(data_dir).map_err(|error| Error::Open(error.to_string()))?;
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
    let (index, generation) =
        open_index(options, checkpoint, &journal_dir, journal.next_commit() - 1)?;
    let checkpoint = Checkpoint {
        generation,
        commit: journal.next_commit() - 1,
        position: journal.position(),
    };
    save_checkpoint(&index, checkpoint, data_dir)?;
    let mints = mints(&index)?;
    Ok(Opened {
        lock,
        journal,
        index,
        generation,
        mints,
    })
}

/// Syncs the index and says so in the checkpoint. Everything up to `checkpoint` must have been applied.
pub(super) fn save_checkpoint(
    index: &Index,
    checkpoint: Checkpoint,
    data_dir: &Path,
) -> Result<(), Error> {
    index.sync()?;
    checkpoint
        .save(data_dir)
        .map_err(|error| Error::Io(error.to_string()))
}

/// The index, level with the journal: caught up from the checkpoint, or set aside and rebuilt.
fn open_index(
    options: &Options,
    checkpoint: Option<Checkpoint>,
    journal_dir: &Path,
    last_commit: u64,
) -> Result<(Index, u64), Error> {
    let dir = options.data_dir.join("db");
    if let Some(checkpoint) = checkpoint {
        match catch_up(&dir, options.cache, checkpoint, journal_dir) {
            Ok(index) => return Ok((index, checkpoint.generation)),
            Err(error) => {
                tracing::warn!(%error, "the index cannot be used and is rebuilt from the journal");
            }
        }
    } else if last_commit > 0 {
        tracing::warn!("there is no checkpoint; the index is rebuilt from the journal");
    }
    set_aside(&dir).map_err(|error| refused(&options.data_dir, &error))?;
    let index = Index::open(&dir, options.cache)?;
    let generation = random();
    let applied = replay(&index, generation, journal_dir, Position::START)?;
    if applied > 0 {
        tracing::info!(commits = applied, "the index is rebuilt");
    }
    Ok((index, generation))
}

fn catch_up(
    dir: &Path,
    cache: u64,
    checkpoint: Checkpoint,
    journal_dir: &Path,
) -> Result<Index, Error> {
    let index = Index::open(dir, cache)?;
    match index.marker()? {
        Some(Marker { generation, .. }) if generation != checkpoint.generation => {
            return Err(Error::Index("it belongs to another checkpoint".to_owned()));
        }
        Some(Marker { applied, .. }) if applied < checkpoint.commit => {
            return Err(Error::Index("it is behind its checkpoint".to_owned()));
        }
        None => {
            return Err(Error::Index(
                "it is missing or has lost its contents".to_owned(),
            ));
        }
        Some(_) => {}
    }
    let applied = replay(
        &index,
        checkpoint.generation,
        journal_dir,
        checkpoint.position,
    )?;
    if applied > 0 {
        tracing::info!(
            commits = applied,
            "replayed the journal's tail into the index"
        );
    }
    Ok(index)
}

/// Applies every commit after `from`; answers how many.
fn replay(
    index: &Index,
    generation: u64,
    journal_dir: &Path,
    from: Position,
) -> Result<u64, Error> {
    let mut pending: Vec<Commit> = Vec::new();
    let (mut rows, mut count) = (0, 0);
    journal::replay(journal_dir, from, |commit, _| {
        rows += commit.writes.len();
        count += 1;
        pending.push(commit);
        if rows < REPLAY_ROWS {
            return Ok(());
        }
        rows = 0;
        apply(index, generation, &std::mem::take(&mut pending))
    })
    .map_err(|error| match error {
        ReplayError::Journal(error) => Error::Open(error.to_string()),
        ReplayError::Visit { source, .. } => source,
    })?;
    apply(index, generation, &pending)?;
    Ok(count)
}

fn apply(index: &Index, generation: u64, commits: &[Commit]) -> Result<(), Error> {
    let applied = match commits.last() {
        Some(last) => last.number,
        // An index that has just been created needs its marker all the same.
        None if index.marker()?.is_none() => 0,
        None => return Ok(()),
    };
    let mut rows = Vec::new();
    for write in commits.iter().flat_map(|commit| &commit.writes) {
        let tree = Tree::from_code(write.tree).ok_or_else(|| {
            Error::Open(format!(
                "the journal was written by a newer jivchat (tree {})",
                write.tree
            ))
        })?;
        rows.push((tree, &write.key[..], write.value.as_deref()));
    }
    index.apply(
        rows.into_iter(),
        Marker {
            generation,
            applied,
        },
    )
}

/// Moves an unusable index out of the way. The newest one is kept for whoever wants to look at it.
fn set_aside(dir: &Path) -> std::io::Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    let aside = dir.with_extension("aside");
    if aside.exists() {
        fs::remove_dir_all(&aside)?;
    }
    fs::rename(dir, &aside)?;
    tracing::warn!(path = %aside.display(), "set the unusable index aside");
    Ok(())
}

fn mints(index: &Index) -> Result<Mints, Error> {
    let last = |tree| -> Result<Option<[u8; 12]>, Error> {
        Ok(index
            .last_key(tree)?
            .and_then(|key| key.first_chunk::<12>().copied()))
    };
    let random = random();
    Ok(Mints {
        chats: Mint::after(last(Tree::Chats)?, random),
        messages: Mint::after(last(Tree::MessageIds)?, random),
    })
}

/// Not a secret: it only tells one index or process from another, so the clock will do where the system has no
/// random bytes to give.
fn random() -> u64 {
    getrandom::u64().unwrap_or_else(|_| Timestamp::now().0.unsigned_abs())
}

fn refused(dir: &Path, error: &std::io::Error) -> Error {
    Error::Open(format!(
        "the data directory {} cannot be used: {error}; make it writable for this user or name another with --data-dir",
        dir.display()
    ))
}
