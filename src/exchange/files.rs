//! The media files beside an export: copied as their messages are written, and those that cannot be copied told.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::media::{self, CopyError};
use crate::model::Attachment;

/// Names of missing files that are told; all are counted.
const TOLD: usize = 100;

/// Copies files from the media directory to another.
#[derive(Debug)]
pub(super) struct Files {
    from: PathBuf,
    to: PathBuf,
    pub(super) copied: u64,
    pub(super) missing: u64,
    pub(super) told: Vec<String>,
}

impl Files {
    /// Makes the directory `to`, for its owner alone.
    pub(super) fn new(from: &Path, to: &Path) -> Result<Self, Error> {
        use std::os::unix::fs::DirBuilderExt;
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(to).map_err(Error::file(to))?;
        Ok(Self {
            from: from.to_owned(),
            to: to.to_owned(),
            copied: 0,
            missing: 0,
            told: Vec::new(),
        })
    }

    /// Copies a message's file. One that is missing or damaged is told and does not end the export.
    pub(super) fn take(&mut self, file: &Attachment) -> Result<(), Error> {
        match media::copy(&file.name, &self.from, &self.to, file.size, file.crc32) {
            Ok(()) => self.copied += 1,
            Err(CopyError::Io(name, source)) => {
                return Err(Error::File {
                    path: self.to.join(name),
                    source,
                });
            }
            Err(error) => {
                self.missing += 1;
                if self.told.len() < TOLD {
                    self.told.push(error.to_string());
                }
            }
        }
        Ok(())
    }

    /// What was copied survives a power cut.
    pub(super) fn sync(&self) -> Result<(), Error> {
        File::open(&self.to)
            .and_then(|directory| directory.sync_all())
            .map_err(Error::file(&self.to))
    }
}
