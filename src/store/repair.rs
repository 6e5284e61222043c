//! Getting an index that failed to work again, without a restart: closed and opened anew, level with the journal, or built
//! from it. It runs on the writer thread, so the journal stands still meanwhile; it does not decide when.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::thread;

use super::Shared;
use super::checkpoint::Checkpoint;
use super::error::Error;
use super::index::{ATTEMPTS, Index, PAUSE};
use super::open;
use crate::journal::Position;

/// Bytes that must fit on the disk before it is worth trying.
const PROBE: usize = 4 << 20;

/// Brings an index back into use that is level with the journal: with its last commit, whose frame ends where it does.
pub(super) fn repair(
    shared: &Shared,
    rebuild: bool,
    reached: (u64, Position),
) -> Result<(), Error> {
    // A checkpoint or a compaction holds the index; it will notice that it has failed.
    let Some(_alone) = shared.try_maintenance() else {
        return Err(Error::Index("it is in use by a compaction".to_owned()));
    };
    #[cfg(test)]
    shared.settings.faults.check()?;
    probe(&shared.data_dir).map_err(|error| Error::of_index(&error))?;
    let data_dir = &shared.data_dir;
    let checkpoint = Checkpoint::load(data_dir).filter(|_| !rebuild);
    let reopened = match checkpoint {
        Some(checkpoint) => shared
            .live
            .reopen(reached, || reopen(shared, checkpoint, reached)),
        None => Err(Error::Index("its files cannot be trusted".to_owned())),
    };
    match reopened {
        Ok(true) => Ok(()),
        // There is nothing wrong with its files: the next attempt will do.
        Ok(false) => Err(Error::Index("it is still in use".to_owned())),
        Err(error) => {
            tracing::warn!(%error, "the index is rebuilt from the journal");
            rebuild_at(shared, reached)
        }
    }
}

fn rebuild_at(shared: &Shared, reached: (u64, Position)) -> Result<(), Error> {
    let fresh = open::build(&shared.data_dir, &shared.settings, reached.1)?;
    if let Some(old) = shared.live.replace(fresh, reached) {
        old.supersede();
    }
    let index = shared.live.index()?;
    index.sync()?;
    open::save_checkpoint(&index, reached, &shared.data_dir)
}

/// sled's own threads may hold the files a moment longer than we do.
fn reopen(
    shared: &Shared,
    checkpoint: Checkpoint,
    reached: (u64, Position),
) -> Result<Index, Error> {
    let mut attempts = 0;
    loop {
        let opened = open::catch_up(&shared.data_dir, &shared.settings, checkpoint, reached);
        attempts += 1;
        if opened.is_ok() || attempts == ATTEMPTS {
            return opened;
        }
        thread::park_timeout(PAUSE);
    }
}

/// Fails as long as the disk takes no more.
fn probe(data_dir: &Path) -> io::Result<()> {
    let path = data_dir.join("probe");
    let outcome = File::create(&path).and_then(|mut file| {
        file.write_all(&vec![1; PROBE])?;
        file.sync_all()
    });
    let removed = fs::remove_file(&path);
    outcome.and(removed)
}
