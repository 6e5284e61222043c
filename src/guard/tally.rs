//! What was refused since the start, and to whom where it looked like a flood. In memory, and bounded.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::Action;
use crate::id::UserId;

/// Suspects that are remembered, the latest.
const SUSPECTS: usize = 100;

/// A kind of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Too many of an action.
    Rate(Action),
    /// Too many bytes of files.
    Volume,
    /// Too many tokens that were no good.
    Authentication,
    /// The same message in too many chats.
    Duplicates,
    /// Too many chats opened within an hour.
    NewChats,
}

impl Refused {
    /// Every kind, in the order of [`Refused::index`].
    const ALL: [Self; 11] = [
        Self::Rate(Action::Message),
        Self::Rate(Action::Typing),
        Self::Rate(Action::NewChat),
        Self::Rate(Action::Block),
        Self::Rate(Action::Upload),
        Self::Rate(Action::Read),
        Self::Rate(Action::Report),
        Self::Volume,
        Self::Authentication,
        Self::Duplicates,
        Self::NewChats,
    ];

    /// Its name for the admin.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rate(Action::Message) => "messages",
            Self::Rate(Action::Typing) => "typing",
            Self::Rate(Action::NewChat) => "chats",
            Self::Rate(Action::Block) => "blocks",
            Self::Rate(Action::Upload) => "uploads",
            Self::Rate(Action::Read) => "reads",
            Self::Rate(Action::Report) => "reports",
            Self::Volume => "uploadBytes",
            Self::Authentication => "authentication",
            Self::Duplicates => "duplicateMessages",
            Self::NewChats => "newChats",
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Rate(action) => action as usize,
            Self::Volume => 7,
            Self::Authentication => 8,
            Self::Duplicates => 9,
            Self::NewChats => 10,
        }
    }
}

/// Somebody whose doing looked like a flood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// Who.
    pub user: UserId,
    /// What was refused last.
    pub refused: Refused,
    /// How often anything was.
    pub times: u64,
    /// The last time.
    pub at: SystemTime,
}

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: [AtomicU64; Refused::ALL.len()],
    /// The latest stands last.
    suspects: Mutex<VecDeque<Suspect>>,
}

impl Tally {
    pub(super) fn count(&self, refused: Refused) {
        self.counts[refused.index()].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn suspect(&self, refused: Refused, user: &UserId) {
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        let known = suspects.iter().position(|one| one.user == *user);
        let times = known
            .and_then(|position| suspects.remove(position))
            .map_or(0, |one| one.times);
        if suspects.len() >= SUSPECTS {
            suspects.pop_front();
        }
        suspects.push_back(Suspect {
            user: user.clone(),
            refused,
            times: times + 1,
            at: SystemTime::now(),
        });
    }

    pub(super) fn refusals(&self) -> Vec<(&'static str, u64)> {
        let counts = Refused::ALL.into_iter().zip(&self.counts);
        counts
            .map(|(refused, count)| (refused.name(), count.load(Ordering::Relaxed)))
            .collect()
    }

    pub(super) fn suspects(&self) -> Vec<Suspect> {
        let suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        suspects.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_place() {
        for (position, refused) in Refused::ALL.into_iter().enumerate() {
            assert_eq!(refused.index(), position);
        }
        for (position, action) in Action::ALL.into_iter().enumerate() {
            assert_eq!(action as usize, position);
        }
    }

    #[test]
    fn the_latest_suspects_are_remembered_once_each() {
        let tally = Tally::default();
        for number in 0..150 {
            let user: UserId = format!("u{number}").parse().unwrap();
            tally.suspect(Refused::Duplicates, &user);
            tally.suspect(Refused::NewChats, &user);
        }
        let suspects = tally.suspects();
        assert_eq!(suspects.len(), SUSPECTS);
        assert_eq!(suspects[0].user.as_str(), "u149");
        assert_eq!(
            (suspects[0].times, suspects[0].refused),
            (2, Refused::NewChats)
        );
    }
}
