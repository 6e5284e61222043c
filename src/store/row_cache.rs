//! Rows of the index that were asked for lately, ready to be had again: in the index each has to be looked for in a block of many. It owns
//! which are kept and how many. It does not know when a row changes: whoever writes the index says so while readers still have the row
//! from elsewhere.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::keys::Tree;
use super::tables::Bytes;

/// The trees that every request asks: who is who, which chat, how far somebody has come, its last message. The others would only fill
/// the memory with rows that nobody asks for twice.
const KEPT: [Tree; 8] = [
    Tree::Users,
    Tree::Erased,
    Tree::Pets,
    Tree::Chats,
    Tree::Unread,
    Tree::Totals,
    Tree::Messages,
    Tree::MediaUsage,
];
/// Bytes of one generation of one tree.
const MOST: usize = if cfg!(test) { 8 << 10 } else { 2 << 20 };
/// What a row needs besides its bytes, roughly.
const ROW_OVERHEAD: usize = 96;

/// What is known of the index: a row, or that there is none.
pub(super) type Known = Option<Bytes>;

#[derive(Debug, Default)]
pub(super) struct RowCache([Mutex<Generations>; KEPT.len()]);

/// Rows that were asked for are young. When there are too many of them they become the old ones, and those that were old go.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Bytes, Known>,
    old: HashMap<Bytes, Known>,
    bytes: usize,
}

impl RowCache {
    fn of(&self, tree: Tree) -> Option<MutexGuard<'_, Generations>> {
        let place = KEPT.iter().position(|kept| *kept == tree)?;
        Some(self.0[place].lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is known of the row; `None` if the index has to be asked.
    pub(super) fn get(&self, tree: Tree, key: &[u8]) -> Option<Known> {
        self.of(tree)?.get(key)
    }

    /// The index says so.
    pub(super) fn keep(&self, tree: Tree, key: &[u8], row: &Known) {
        if let Some(mut rows) = self.of(tree) {
            rows.keep(key.into(), row.clone());
        }
    }

    /// The index will say something else.
    pub(super) fn forget(&self, tree: Tree, key: &[u8]) {
        if let Some(mut rows) = self.of(tree) {
            // The bytes are counted until the generation ends.
            rows.young.remove(key);
            rows.old.remove(key);
        }
    }

    /// It is another index.
    pub(super) fn forget_all(&self) {
        for rows in &self.0 {
            *rows.lock().unwrap_or_else(PoisonError::into_inner) = Generations::default();
        }
    }
}

impl Generations {
    fn get(&mut self, key: &[u8]) -> Option<Known> {
        if let Some(row) = self.young.get(key) {
            return Some(row.clone());
        }
        let (key, row) = self.old.remove_entry(key)?;
        self.keep(key, row.clone());
        Some(row)
    }

    fn keep(&mut self, key: Bytes, row: Known) {
        self.bytes += ROW_OVERHEAD + key.len() + row.as_ref().map_or(0, |row| row.len());
        self.young.insert(key, row);
        if self.bytes > MOST {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> [u8; 4] {
        number.to_be_bytes()
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let cache = RowCache::default();
        let row = Some(Bytes::from(&[7; 100][..]));
        cache.keep(Tree::Chats, &key(0), &row);
        cache.keep(Tree::Chats, &key(1), &None);
        for number in 2..1000 {
            cache.keep(Tree::Chats, &key(number), &row);
            assert_eq!(cache.get(Tree::Chats, &key(0)), Some(row.clone()));
        }
        assert_eq!(cache.get(Tree::Chats, &key(1)), None);
        assert_eq!(cache.get(Tree::Users, &key(0)), None);
        let chats = cache.of(Tree::Chats).unwrap();
        assert!((chats.young.len() + chats.old.len()) * 200 <= 2 * MOST + 400);
    }

    #[test]
    fn a_row_that_is_forgotten_is_gone_from_both_generations() {
        let cache = RowCache::default();
        cache.keep(Tree::Users, &key(1), &None);
        assert_eq!(cache.get(Tree::Users, &key(1)), Some(None));
        while cache.of(Tree::Users).unwrap().old.is_empty() {
            cache.keep(Tree::Users, &key(2), &Some(Bytes::from(&[0; 100][..])));
        }
        cache.forget(Tree::Users, &key(1));
        assert_eq!(cache.get(Tree::Users, &key(1)), None);
        cache.forget_all();
        assert_eq!(cache.get(Tree::Users, &key(2)), None);
    }

    #[test]
    fn trees_that_nobody_asks_twice_are_not_kept() {
        let cache = RowCache::default();
        cache.keep(Tree::ClientIds, &key(1), &None);
        assert_eq!(cache.get(Tree::ClientIds, &key(1)), None);
    }
}
