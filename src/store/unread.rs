//! The unread counters and watermarks, one row per participant and chat: the only source of what a client sees of them.

use super::error::Error;
use super::keys::{self, Tree};
use super::tables::{Sink, Source, Tables};
use crate::id::{ChatId, UserId};
use crate::model::ReadState;

impl<S: Source> Tables<S> {
    /// How far `user` has come in `chat`.
    pub fn read_state(&self, user: &UserId, chat: ChatId) -> Result<ReadState, Error> {
        Ok(self
            .record(Tree::Unread, &keys::unread(user, chat))?
            .unwrap_or_default())
    }
}

impl<S: Sink> Tables<S> {
    /// Replaces a participant's state and keeps the user's total in step with it.
    pub fn put_read_state(
        &mut self,
        user: &UserId,
        chat: ChatId,
        state: ReadState,
    ) -> Result<(), Error> {
        let before = self.read_state(user, chat)?;
        if before.unread != state.unread {
            let mut totals = self.totals(user)?;
            totals.unread =
                (totals.unread + u64::from(state.unread)).saturating_sub(u64::from(before.unread));
            self.put_totals(user, totals)?;
        }
        self.put(Tree::Unread, &keys::unread(user, chat), &state)
    }
}
