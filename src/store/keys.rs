//! The trees of the index and the bytes of their keys.
//!
//! Keys are raw big-endian bytes in the order in which they are read, never bincode. A host id is ended by a zero
//! byte, which it cannot contain, so that no id is another's prefix.

use std::ops::Range;

use crate::id::{ChatId, MessageId, PetId, ReportId, UserId};
use crate::model::ChatKind;

/// A tree of the index. The codes are part of the journal's format: never change or reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Tree {
    /// user → `User`
    Users = 1,
    /// pet → `Pet`
    Pets = 2,
    /// chat → `Chat`
    Chats = 3,
    /// kind, pet, sorted participants → chat: one chat however many callers race
    ChatKeys = 4,
    /// user, inverted activity, chat → the other participants: a user's list, newest first
    UserChats = 5,
    /// chat, seq → `Message`
    Messages = 6,
    /// message → chat, seq
    MessageIds = 7,
    /// sender, chat, client id → chat, seq
    ClientIds = 8,
    /// user, chat → `ReadState`: the unread counters
    Unread = 9,
    /// user → `UserTotals`
    Totals = 10,
    /// file name → `Upload`
    Uploads = 11,
    /// file name → nothing: files that no message shows any more and that are still to be removed
    Doomed = 12,
    /// user → `Erased`: who was erased and must not come back by an old token
    Erased = 13,
    /// pet → `Pet`: what is left of a removed pet, for its chats
    RemovedPets = 14,
    /// chat → `Expired`: how far retention has come
    Expired = 15,
    /// name → `Timestamp`: moments to remember
    Marks = 16,
    /// user → bytes of their files that messages show
    MediaUsage = 17,
    /// user, other → `Timestamp`: whom a user has blocked, and since when
    UserBlocks = 18,
    /// report → `Report`
    Reports = 19,
    /// user, report → nothing: the reports that hold something of a user
    ReportsOf = 20,
    /// report → nothing: those that nobody has judged
    OpenReports = 21,
}

impl Tree {
    /// Every tree, in the order of its code.
    pub(crate) const ALL: [Tree; 21] = [
        Tree::Users,
        Tree::Pets,
        Tree::Chats,
        Tree::ChatKeys,
        Tree::UserChats,
        Tree::Messages,
        Tree::MessageIds,
        Tree::ClientIds,
        Tree::Unread,
        Tree::Totals,
        Tree::Uploads,
        Tree::Doomed,
        Tree::Erased,
        Tree::RemovedPets,
        Tree::Expired,
        Tree::Marks,
        Tree::MediaUsage,
        Tree::UserBlocks,
        Tree::Reports,
        Tree::ReportsOf,
        Tree::OpenReports,
    ];

    /// Position in [`Tree::ALL`].
    pub(crate) fn index(self) -> usize {
        self as usize - 1
    }

    /// The tree with this code in the journal.
    pub(crate) fn from_code(code: u8) -> Option<Tree> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }

    /// The name in sled.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tree::Users => "users",
            Tree::Pets => "pets",
            Tree::Chats => "chats",
            Tree::ChatKeys => "chat_keys",
            Tree::UserChats => "user_chats",
            Tree::Messages => "messages",
            Tree::MessageIds => "message_ids",
            Tree::ClientIds => "client_ids",
            Tree::Unread => "unread",
            Tree::Totals => "totals",
            Tree::Uploads => "uploads",
            Tree::Doomed => "doomed",
            Tree::Erased => "erased",
            Tree::RemovedPets => "removed_pets",
            Tree::Expired => "expired",
            Tree::Marks => "marks",
            Tree::MediaUsage => "media_usage",
            Tree::UserBlocks => "user_blocks",
            Tree::Reports => "reports",
            Tree::ReportsOf => "reports_of",
            Tree::OpenReports => "open_reports",
        }
    }
}

pub(crate) fn chat_key(kind: ChatKind, pet: Option<&PetId>, participants: &[UserId]) -> Vec<u8> {
    let mut sorted: Vec<&UserId> = participants.iter().collect();
    sorted.sort();
    let mut key = vec![kind as u8];
    key.extend_from_slice(pet.map_or("", PetId::as_str).as_bytes());
    for user in sorted {
        key.push(0);
        key.extend_from_slice(user.as_str().as_bytes());
    }
    key
}

/// The chats of one kind about one pet in `chat_keys`.
pub(crate) fn chats_about(kind: ChatKind, pet: &PetId) -> Range<Vec<u8>> {
    let mut key = vec![kind as u8];
    key.extend_from_slice(pet.as_str().as_bytes());
    key.push(0);
    starting_with(key)
}

/// The keys of a tree of texts that begin with `prefix` and come after `after`.
pub(crate) fn texts(prefix: &str, after: Option<&str>) -> Range<Vec<u8>> {
    let Range { start, end } = if prefix.is_empty() {
        everything()
    } else {
        starting_with(prefix.as_bytes().to_vec())
    };
    // No text that is an id ends in a zero byte: this is the next key there can be.
    let next = after.map(|after| [after.as_bytes(), &[0]].concat());
    let start = next.map_or(start.clone(), |next| next.max(start));
    let end = end.max(start.clone());
    start..end
}

/// Everything of one user in a tree keyed by user first.
pub(crate) fn user_prefix(user: &UserId) -> Vec<u8> {
    let mut key = Vec::with_capacity(user.as_str().len() + 21);
    key.extend_from_slice(user.as_str().as_bytes());
    key.push(0);
    key
}

pub(crate) fn user_chat(user: &UserId, activity: u64, chat: ChatId) -> Vec<u8> {
    let mut key = user_prefix(user);
    key.extend_from_slice(&(!activity).to_be_bytes());
    key.extend_from_slice(chat.as_bytes());
    key
}

/// The chat whose id ends `key`.
pub(crate) fn chat_at_end(key: &[u8]) -> Option<ChatId> {
    key.last_chunk::<12>().map(|id| ChatId::from(*id))
}

pub(crate) fn message(chat: ChatId, seq: u64) -> Vec<u8> {
    located(chat, seq).to_vec()
}

/// The messages of `chat` numbered `seqs`.
pub(crate) fn messages(chat: ChatId, seqs: Range<u64>) -> Range<Vec<u8>> {
    message(chat, seqs.start)..message(chat, seqs.end)
}

/// A message's place: chat and `seq`, the value in `message_ids` and the key in `messages`.
pub(crate) fn located(chat: ChatId, seq: u64) -> [u8; 20] {
    let mut key = [0; 20];
    key[..12].copy_from_slice(chat.as_bytes());
    key[12..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// Reads what [`located`] wrote.
pub(crate) fn place(bytes: &[u8]) -> Option<(ChatId, u64)> {
    let chat = bytes.first_chunk::<12>()?;
    let seq = bytes.get(12..)?.try_into().ok()?;
    Some((ChatId::from(*chat), u64::from_be_bytes(seq)))
}

pub(crate) fn message_id(id: MessageId) -> [u8; 12] {
    *id.as_bytes()
}

pub(crate) fn client_id(sender: &UserId, chat: ChatId, client_id: &str) -> Vec<u8> {
    let mut key = unread(sender, chat);
    key.extend_from_slice(client_id.as_bytes());
    key
}

pub(crate) fn unread(user: &UserId, chat: ChatId) -> Vec<u8> {
    let mut key = user_prefix(user);
    key.extend_from_slice(chat.as_bytes());
    key
}

/// Two users, the one whose row it is first.
pub(crate) fn pair(user: &UserId, other: &UserId) -> Vec<u8> {
    let mut key = user_prefix(user);
    key.extend_from_slice(other.as_str().as_bytes());
    key
}

/// Reads what [`pair`] wrote.
pub(crate) fn read_pair(key: &[u8]) -> Option<(UserId, UserId)> {
    let (user, other) = std::str::from_utf8(key).ok()?.split_once('\0')?;
    Some((user.parse().ok()?, other.parse().ok()?))
}

pub(crate) fn report_of(user: &UserId, report: ReportId) -> Vec<u8> {
    let mut key = user_prefix(user);
    key.extend_from_slice(report.as_bytes());
    key
}

/// The rows of `user` in `reports_of` after this report.
pub(crate) fn reports_of(user: &UserId, after: Option<ReportId>) -> Range<Vec<u8>> {
    let all = starting_with(user_prefix(user));
    match after {
        None => all,
        Some(after) => [&report_of(user, after)[..], &[0]].concat()..all.end,
    }
}

/// The keys of a tree of reports after this one.
pub(crate) fn reports_after(after: Option<ReportId>) -> Range<Vec<u8>> {
    let all = everything();
    let next = after.map(|after| [&after.as_bytes()[..], &[0]].concat());
    next.unwrap_or(all.start)..all.end
}

/// The range of all keys that begin with `prefix`, which must hold a byte below 255.
pub(crate) fn starting_with(prefix: Vec<u8>) -> Range<Vec<u8>> {
    let mut end = prefix.clone();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    prefix..end
}

/// The range of all keys of a tree whose keys are text or an id.
pub(crate) fn everything() -> Range<Vec<u8>> {
    Vec::new()..vec![u8::MAX; 13]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_positions_agree() {
        for (position, tree) in Tree::ALL.into_iter().enumerate() {
            assert_eq!(tree.index(), position);
            assert_eq!(Tree::from_code(tree as u8), Some(tree));
        }
        assert_eq!(Tree::from_code(0), None);
        assert_eq!(Tree::from_code(22), None);
    }

    #[test]
    fn the_key_of_a_chat_forgets_who_asked_first() {
        let (a, b): (UserId, UserId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let pet: PetId = "p".parse().unwrap();
        let key = |kind, pet: Option<&PetId>, who: [&UserId; 2]| {
            chat_key(kind, pet, &who.map(Clone::clone))
        };
        assert_eq!(
            key(ChatKind::Direct, None, [&a, &b]),
            key(ChatKind::Direct, None, [&b, &a])
        );
        assert_ne!(
            key(ChatKind::Direct, None, [&a, &b]),
            key(ChatKind::General, None, [&a, &b])
        );
        assert_ne!(
            key(ChatKind::Direct, None, [&a, &b]),
            key(ChatKind::Direct, Some(&pet), [&a, &b])
        );
    }

    #[test]
    fn newer_activity_sorts_first_and_users_stay_apart() {
        let (ab, abc): (UserId, UserId) = ("ab".parse().unwrap(), "abc".parse().unwrap());
        let chat = ChatId::from([1; 12]);
        assert!(user_chat(&ab, 9, chat) < user_chat(&ab, 8, chat));
        let range = starting_with(user_prefix(&ab));
        assert!(
            range.contains(&user_chat(&ab, 0, chat))
                && range.contains(&user_chat(&ab, u64::MAX, chat))
        );
        assert!(!range.contains(&user_chat(&abc, 5, chat)));
    }
}
