//! Who wants to hear nothing more from whom. It does not know what follows from that.

use super::codec;
use super::error::Error;
use super::keys::{self, Tree};
use super::tables::{Sink, Source, Tables};
use crate::id::UserId;
use crate::model::Timestamp;

impl<S: Source> Tables<S> {
    /// Since when `user` has blocked `other`, if they have.
    pub fn user_block(&self, user: &UserId, other: &UserId) -> Result<Option<Timestamp>, Error> {
        self.record(Tree::UserBlocks, &keys::pair(user, other))
    }

    /// Whether one of the two has blocked the other.
    pub fn is_blocked_between(&self, one: &UserId, other: &UserId) -> Result<bool, Error> {
        Ok(self.user_block(one, other)?.is_some() || self.user_block(other, one)?.is_some())
    }

    /// Whom `user` has blocked, and since when, in the order of ids.
    pub fn blocked_by(
        &self,
        user: &UserId,
    ) -> impl Iterator<Item = Result<(UserId, Timestamp), Error>> {
        let range = keys::starting_with(keys::user_prefix(user));
        let rows = self.0.range(Tree::UserBlocks, range);
        rows.map(|row| {
            let (key, value) = row?;
            let (_, other) = keys::read_pair(&key).ok_or_else(no_pair)?;
            Ok((other, codec::decode(Tree::UserBlocks, &value)?))
        })
    }

    /// Who has blocked whom, and since when.
    pub fn user_blocks(&self) -> impl Iterator<Item = Result<(UserId, UserId, Timestamp), Error>> {
        let rows = self.0.range(Tree::UserBlocks, keys::everything());
        rows.map(|row| {
            let (key, value) = row?;
            let (user, other) = keys::read_pair(&key).ok_or_else(no_pair)?;
            Ok((user, other, codec::decode(Tree::UserBlocks, &value)?))
        })
    }
}

impl<S: Sink> Tables<S> {
    /// `user` blocks `other`.
    pub fn put_user_block(
        &mut self,
        user: &UserId,
        other: &UserId,
        since: Timestamp,
    ) -> Result<(), Error> {
        self.put(Tree::UserBlocks, &keys::pair(user, other), &since)
    }

    /// `user` blocks `other` no more.
    pub fn remove_user_block(&mut self, user: &UserId, other: &UserId) {
        self.remove(Tree::UserBlocks, keys::pair(user, other));
    }

    /// `user` blocks nobody any more.
    pub fn remove_user_blocks_of(&mut self, user: &UserId) -> Result<(), Error> {
        let others: Vec<_> = self.blocked_by(user).collect::<Result<_, _>>()?;
        for (other, _) in others {
            self.remove_user_block(user, &other);
        }
        Ok(())
    }
}

fn no_pair() -> Error {
    codec::unreadable(Tree::UserBlocks, "no two users".to_owned())
}
