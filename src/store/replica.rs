//! The rows of a copied journal, built beside it in a scratch index that goes away again: which files the copy shows, and
//! whether its rows agree with each other. It does not know how the copy came about, nor whether it goes on growing.

use std::path::{Path, PathBuf};

use super::check::{self, Findings};
use super::codec;
use super::error::Error;
use super::index::{Index, Settings};
use super::keys::Tree;
use super::open;
use super::verify::{Scratch, scratch_dir};
use crate::journal::{Position, Progress, Replayed};
use crate::model::Upload;

/// The rows of a journal up to a position.
pub struct Replica {
    // Before the scratch directory: dropped while its files are still there.
    index: Index,
    data_dir: PathBuf,
    end: Position,
    _scratch: Scratch,
}

impl Replica {
    /// No rows yet; `data_dir` holds the copy in `journal/` and takes the scratch index.
    pub fn begin(data_dir: &Path, cache: u64) -> Result<Self, Error> {
        let path = scratch_dir(data_dir);
        let scratch = Scratch::new(&path)?;
        Ok(Self {
            index: Index::open(&path, 1, &Settings::new(cache))?,
            data_dir: data_dir.to_owned(),
            end: Position::START,
            _scratch: scratch,
        })
    }

    /// Follows the journal from where it stopped to `end`, which must end a whole group.
    pub fn follow(&mut self, end: Position, progress: impl FnMut(Progress)) -> Result<(), Error> {
        open::replay(&self.index, &self.data_dir, self.end, end, progress)?;
        self.end = end;
        Ok(())
    }

    /// Follows the whole journal, of which nobody need know the end.
    pub fn follow_all(&mut self, progress: impl FnMut(Progress)) -> Result<Replayed, Error> {
        let replayed = open::replay_all(&self.index, &self.data_dir, progress)?;
        self.end = replayed.end;
        Ok(replayed)
    }

    /// Hands the name and the size of every file that a message shows to `visit`, in the order of their names.
    pub fn each_file<E: From<Error>>(
        &self,
        mut visit: impl FnMut(&str, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        for row in self.index.rows_after(Tree::Uploads, None) {
            // One that cannot be read is found and told by `check`.
            if let Ok(upload) = codec::decode::<Upload>(Tree::Uploads, &row?.1) {
                visit(&upload.attachment.name, upload.attachment.size)?;
            }
        }
        Ok(())
    }

    /// Whether a message shows the file.
    pub fn shows(&self, name: &str) -> Result<bool, Error> {
        Ok(self.index.get(Tree::Uploads, name.as_bytes())?.is_some())
    }

    /// Follows every row and counts; with the media directory, looks for every file too. `progress` hears of rows done and
    /// expected.
    pub fn check(
        &self,
        media: Option<&Path>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Findings, Error> {
        let expected = check::expected_messages(&self.index)?;
        check::check(&self.index, media, &mut |done| progress(done, expected))
    }
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica")
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
