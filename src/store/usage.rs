//! How many bytes of files each user has in messages. It changes with the rows of the files and in the same group, so that it is
//! what a recount would find, whoever removes a file and why.

use std::collections::BTreeMap;

use super::codec;
use super::error::Error;
use super::keys::{self, Tree};
use super::tables::{Sink, Source, Tables};
use crate::id::UserId;
use crate::model::Upload;

impl<S: Source> Tables<S> {
    /// Bytes of the files that `user` has uploaded and that a message still shows.
    pub fn media_usage(&self, user: &UserId) -> Result<u64, Error> {
        let bytes = self.record(Tree::MediaUsage, user.as_str().as_bytes())?;
        Ok(bytes.unwrap_or(0))
    }

    /// Whether there are files and nobody has counted them: the directory is from before there was a count.
    pub fn is_usage_unknown(&self) -> Result<bool, Error> {
        let mut usage = self.0.range(Tree::MediaUsage, keys::everything());
        let mut uploads = self.0.range(Tree::Uploads, keys::everything());
        Ok(usage.next().transpose()?.is_none() && uploads.next().transpose()?.is_some())
    }
}

impl<S: Sink> Tables<S> {
    pub(super) fn change_usage(
        &mut self,
        user: &UserId,
        change: impl FnOnce(u64) -> u64,
    ) -> Result<(), Error> {
        let (key, before) = (user.as_str().as_bytes(), self.media_usage(user)?);
        match change(before) {
            0 => self.remove(Tree::MediaUsage, key.to_vec()),
            now => self.put(Tree::MediaUsage, key, &now)?,
        }
        Ok(())
    }

    /// Counts all files anew.
    pub fn recount_usage(&mut self) -> Result<(), Error> {
        let mut counted: BTreeMap<UserId, u64> = BTreeMap::new();
        for row in self.0.range(Tree::Uploads, keys::everything()) {
            let upload: Upload = codec::decode(Tree::Uploads, &row?.1)?;
            *counted.entry(upload.sender).or_default() += upload.attachment.size;
        }
        for (user, used) in counted {
            self.change_usage(&user, |_| used)?;
        }
        Ok(())
    }
}
