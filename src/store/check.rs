//! Whether the rows of an index agree with each other: every counter recounted, every index row followed both ways. It
//! changes nothing and keeps little in memory: it follows the keys' order and looks the rest up.

use std::collections::{HashMap, HashSet};
use std::io::Read as _;
use std::path::Path;

use super::codec;
use super::error::Error;
use super::index::Index;
use super::keys::{self, Tree};
use crate::id::{ChatId, UserId};
use crate::model::{
    Attachment, Chat, Erased, Expired, Message, Pet, ReadState, Upload, User, UserTotals,
};

/// Problems are all counted; this many are told.
const TOLD: usize = 100;

/// What was counted and what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Users known.
    pub users: u64,
    /// Pets known.
    pub pets: u64,
    /// Chats.
    pub chats: u64,
    /// Messages, deleted ones included.
    pub messages: u64,
    /// Files that messages show.
    pub uploads: u64,
    /// Files in the media directory that nothing shows: no harm but the space they take.
    pub orphans: u64,
    /// The names of the first hundred of them.
    pub orphan_names: Vec<String>,
    /// How many problems there are.
    pub problems: u64,
    /// The first hundred of them, one line each.
    pub told: Vec<String>,
}

impl Findings {
    pub(super) fn problem(&mut self, what: impl FnOnce() -> String) {
        self.problems += 1;
        if self.told.len() < TOLD {
            self.told.push(what());
        }
    }

    pub(super) fn require(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.problem(what);
        }
    }
}

/// One check of one index.
pub(super) struct Check<'a> {
    pub(super) index: &'a Index,
    pub(super) findings: Findings,
    /// Messages that show each file.
    shown: HashMap<String, u32>,
    /// Users of whom nothing may be left.
    pub(super) erased: HashSet<UserId>,
    participants: u64,
    client_ids: u64,
    done: u64,
    progress: &'a mut dyn FnMut(u64),
}

/// How many messages the chats of an index say they have: most of what [`check`] will look at.
pub(super) fn expected_messages(index: &Index) -> Result<u64, Error> {
    let chats = index.rows_after(Tree::Chats, None);
    chats.into_iter().try_fold(0, |sum, row| {
        let chat = codec::decode::<Chat>(Tree::Chats, &row?.1).ok();
        Ok(sum + chat.map_or(0, |chat| chat.last_seq))
    })
}

/// Checks an index against itself and, where there is one, against the media directory. `progress` hears of rows done.
pub(super) fn check(
    index: &Index,
    media: Option<&Path>,
    progress: &mut dyn FnMut(u64),
) -> Result<Findings, Error> {
    let mut check = Check {
        index,
        findings: Findings::default(),
        shown: HashMap::new(),
        erased: HashSet::new(),
        participants: 0,
        client_ids: 0,
        done: 0,
        progress,
    };
    check.people()?;
    check.chats()?;
    check.lists()?;
    check.totals()?;
    check.user_blocks()?;
    check.reports()?;
    check.uploads(media)?;
    Ok(check.findings)
}

impl Check<'_> {
    /// Hands every row of a tree that can be read to `look`; the others are problems.
    pub(super) fn each<T: serde::de::DeserializeOwned>(
        &mut self,
        tree: Tree,
        mut look: impl FnMut(&mut Self, &[u8], T) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let mut count = 0;
        for row in self.index.rows_after(tree, None) {
            let (key, value) = row?;
            count += 1;
            self.done += 1;
            (self.progress)(self.done);
            match codec::decode::<T>(tree, &value) {
                Ok(record) => look(self, &key, record)?,
                Err(error) => self.findings.problem(|| error.to_string()),
            }
        }
        Ok(count)
    }

    fn record<T: serde::de::DeserializeOwned>(
        &mut self,
        tree: Tree,
        key: &[u8],
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.index.get(tree, key)? else {
            return Ok(None);
        };
        match codec::decode(tree, &value) {
            Ok(record) => Ok(Some(record)),
            Err(error) => {
                self.findings.problem(|| error.to_string());
                Ok(None)
            }
        }
    }

    fn people(&mut self) -> Result<(), Error> {
        self.each(Tree::Erased, |check, key, erased: Erased| {
            let Some(user) = user_of(key) else {
                check
                    .findings
                    .problem(|| "an erasure stands under no user".to_owned());
                return Ok(());
            };
            let is_known = check.index.get(Tree::Users, key)?.is_some();
            check
                .findings
                .require(!is_known, || format!("user {user} is erased and known"));
            if erased.finished {
                check.erased.insert(user);
            }
            Ok(())
        })?;
        self.findings.users = self.each(Tree::Users, |check, key, user: User| {
            let id = user.id;
            let same = id.as_str().as_bytes() == key;
            check
                .findings
                .require(same, || format!("user {id} stands under another id"));
            Ok(())
        })?;
        self.findings.pets = self.each(Tree::Pets, |check, key, pet: Pet| {
            let id = pet.id;
            let same = id.as_str().as_bytes() == key;
            check
                .findings
                .require(same, || format!("pet {id} stands under another id"));
            Ok(())
        })?;
        self.each(Tree::RemovedPets, |check, key, pet: Pet| {
            let id = pet.id;
            let is_known = check.index.get(Tree::Pets, key)?.is_some();
            let same = id.as_str().as_bytes() == key;
            check.findings.require(same && !is_known, || {
                format!("pet {id} is removed and still there, or stands under another id")
            });
            Ok(())
        })?;
        Ok(())
    }

    /// Every chat with its messages, its index rows and its participants' counters; then nothing may be left over.
    fn chats(&mut self) -> Result<(), Error> {
        let mut messages = 0;
        self.findings.chats = self.each(Tree::Chats, |check, key, chat: Chat| {
            let id = chat.id;
            check.findings.require(key == id.as_bytes(), || {
                format!("chat {id} stands under another id")
            });
            check.chat_key(&chat)?;
            messages += check.messages(&chat)?;
            Ok(())
        })?;
        self.findings.messages = self.index.count(Tree::Messages)?;
        let found = self.findings.messages;
        self.findings.require(found == messages, || {
            format!("{found} messages stand in the index, and the chats have {messages}")
        });
        for (tree, expected) in [
            (Tree::MessageIds, messages),
            (Tree::ClientIds, self.client_ids),
            (Tree::ChatKeys, self.findings.chats),
            (Tree::UserChats, self.participants),
        ] {
            let found = self.index.count(tree)?;
            self.findings.require(found == expected, || {
                format!("`{}` has {found} rows instead of {expected}", tree.name())
            });
        }
        Ok(())
    }

    fn chat_key(&mut self, chat: &Chat) -> Result<(), Error> {
        let id = chat.id;
        let key = keys::chat_key(chat.kind, chat.pet.as_ref(), &chat.participants);
        let found = self.index.get(Tree::ChatKeys, &key)?;
        self.findings
            .require(found.as_deref() == Some(id.as_bytes()), || {
                format!("chat {id} cannot be found by its participants")
            });
        for user in &chat.participants {
            self.participants += 1;
            let key = keys::user_chat(user, chat.activity, id);
            let others: Vec<&UserId> = chat.others(user).collect();
            let listed = self.record::<Vec<UserId>>(Tree::UserChats, &key)?;
            let same = listed.is_some_and(|listed| listed.iter().eq(others));
            self.findings.require(same, || {
                format!("chat {id} is not in its place in the list of {user}")
            });
        }
        Ok(())
    }

    /// Follows the messages of a chat; answers how many there are.
    fn messages(&mut self, chat: &Chat) -> Result<u64, Error> {
        let id = chat.id;
        let mut states = Vec::new();
        for user in &chat.participants {
            let key = keys::unread(user, id);
            let state = self.record::<ReadState>(Tree::Unread, &key)?;
            states.push((user, state.unwrap_or_default(), 0));
        }
        let (mut last, mut count) = (0, 0);
        for row in self
            .index
            .range(Tree::Messages, keys::messages(id, 0..u64::MAX))
        {
            let (key, value) = row?;
            count += 1;
            self.done += 1;
            (self.progress)(self.done);
            let Some((_, seq)) = keys::place(&key) else {
                self.findings
                    .problem(|| format!("chat {id} has a message without a number"));
                continue;
            };
            self.findings.require(seq == last + 1, || {
                format!("chat {id} has message {seq} after {last}")
            });
            last = seq;
            match codec::decode::<Message>(Tree::Messages, &value) {
                Ok(message) => {
                    self.message(chat, seq, &key, &message)?;
                    for (user, state, unread) in &mut states {
                        let counts =
                            seq > state.read && message.sender != **user && !message.deleted;
                        *unread += u32::from(counts);
                    }
                }
                Err(error) => self
                    .findings
                    .problem(|| format!("message {seq} of chat {id}: {error}")),
            }
        }
        self.findings.require(last == chat.last_seq, || {
            format!(
                "chat {id} says its last message is {} and it is {last}",
                chat.last_seq
            )
        });
        for (user, state, unread) in states {
            self.findings.require(state.unread == unread, || {
                format!(
                    "{user} has {unread} unread messages in chat {id}, and the counter says {}",
                    state.unread
                )
            });
            let in_order = state.read <= state.delivered && state.delivered <= chat.last_seq;
            self.findings.require(in_order, || {
                format!("the watermarks of {user} in chat {id} are beyond the last message or out of order")
            });
        }
        Ok(count)
    }

    fn message(
        &mut self,
        chat: &Chat,
        seq: u64,
        place: &[u8],
        message: &Message,
    ) -> Result<(), Error> {
        let (id, of) = (message.id, chat.id);
        self.findings
            .require(message.chat == of && message.seq == seq, || {
                format!("message {id} stands in the place of another, {seq} of chat {of}")
            });
        let found = self.index.get(Tree::MessageIds, &keys::message_id(id))?;
        self.findings.require(found.as_deref() == Some(place), || {
            format!("message {id} cannot be found by its id")
        });
        self.findings.require(chat.has(&message.sender), || {
            format!(
                "message {id} was sent by {}, who takes no part in chat {of}",
                message.sender
            )
        });
        self.findings.require(
            message
                .parent
                .is_none_or(|parent| parent > 0 && parent < seq),
            || format!("message {id} answers one that was not there yet"),
        );
        let is_gone = message.deleted && message.client_id.is_none();
        let may_stay = is_gone || !self.erased.contains(&message.sender);
        self.findings.require(may_stay, || {
            format!(
                "message {id} carries something of {}, who is erased",
                message.sender
            )
        });
        if let Some(client_id) = &message.client_id {
            self.client_ids += 1;
            let key = keys::client_id(&message.sender, of, client_id);
            let found = self.index.get(Tree::ClientIds, &key)?;
            self.findings.require(found.as_deref() == Some(place), || {
                format!("message {id} cannot be found by its sender's id for it")
            });
        }
        if let Some(attachment) = &message.attachment {
            *self.shown.entry(attachment.name.clone()).or_default() += 1;
            self.findings.require(!message.deleted, || {
                format!("message {id} is deleted and still shows a file")
            });
        }
        Ok(())
    }

    /// Counters that belong to no chat or to somebody outside it.
    fn lists(&mut self) -> Result<(), Error> {
        self.each(Tree::Unread, |check, key, _: ReadState| {
            let Some((user, chat)) = user_and_chat(key) else {
                check
                    .findings
                    .problem(|| "a counter stands under no user and chat".to_owned());
                return Ok(());
            };
            let found = check.record::<Chat>(Tree::Chats, chat.as_bytes())?;
            let takes_part = found.is_some_and(|found| found.has(&user));
            check.findings.require(takes_part, || {
                format!("{user} has a counter in chat {chat} and takes no part in it")
            });
            Ok(())
        })?;
        self.each(Tree::Expired, |check, key, expired: Expired| {
            let chat = check.record::<Chat>(Tree::Chats, key)?;
            let last = chat.map_or(0, |chat| chat.last_seq);
            let is_within = expired.content <= last && expired.media <= last;
            check.findings.require(is_within, || {
                "retention has come further than a chat goes".to_owned()
            });
            Ok(())
        })?;
        Ok(())
    }

    fn totals(&mut self) -> Result<(), Error> {
        self.each(Tree::Totals, |check, key, totals: UserTotals| {
            let Some(user) = user_of(key) else {
                check
                    .findings
                    .problem(|| "a user's totals stand under no user".to_owned());
                return Ok(());
            };
            let range = keys::starting_with(keys::user_prefix(&user));
            let mut recounted = UserTotals::default();
            let mut chats = Vec::new();
            for row in check.index.range(Tree::UserChats, range.clone()) {
                chats.extend(keys::chat_at_end(&row?.0));
            }
            recounted.chats = chats.len() as u64;
            for chat in chats {
                let state = check.record::<ReadState>(Tree::Unread, &keys::unread(&user, chat))?;
                recounted.unread += u64::from(state.unwrap_or_default().unread);
            }
            check.findings.require(totals == recounted, || {
                format!(
                    "{user} has {} chats with {} unread messages, and the totals say {} and {}",
                    recounted.chats, recounted.unread, totals.chats, totals.unread
                )
            });
            Ok(())
        })?;
        // Whoever has a chat has totals.
        let mut before = None;
        for row in self.index.rows_after(Tree::UserChats, None) {
            let user = user_and_rest(&row?.0).map(|(user, _)| user.to_vec());
            if user != before {
                let known = match &user {
                    Some(user) => self.index.get(Tree::Totals, user)?.is_some(),
                    None => false,
                };
                self.findings
                    .require(known, || "somebody has chats and no totals".to_owned());
                before = user;
            }
        }
        Ok(())
    }

    fn uploads(&mut self, media: Option<&Path>) -> Result<(), Error> {
        let mut usage: HashMap<UserId, u64> = HashMap::new();
        self.findings.uploads = self.each(Tree::Uploads, |check, key, upload: Upload| {
            let name = &upload.attachment.name;
            let shown = check.shown.remove(name).unwrap_or(0);
            check.findings.require(name.as_bytes() == key, || {
                format!("file {name} stands under another name")
            });
            check.findings.require(shown == upload.uses, || {
                format!(
                    "file {name} is shown by {shown} messages, and its counter says {}",
                    upload.uses
                )
            });
            if let Some(media) = media {
                check.file(&media.join(name), &upload);
            }
            *usage.entry(upload.sender).or_default() += upload.attachment.size;
            Ok(())
        })?;
        for name in std::mem::take(&mut self.shown).into_keys() {
            self.findings
                .problem(|| format!("file {name} is shown by a message and not known as uploaded"));
        }
        self.usage(&usage)?;
        let entries = media.and_then(|media| std::fs::read_dir(media).ok());
        for entry in entries.into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue; // thumbnails
            }
            let name = entry.file_name();
            let is_ours = name.as_encoded_bytes().first() == Some(&b'.')
                || entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_ours
                && self
                    .index
                    .get(Tree::Uploads, name.as_encoded_bytes())?
                    .is_none()
            {
                self.findings.orphans += 1;
                if self.findings.orphan_names.len() < TOLD {
                    let name = name.to_string_lossy().into_owned();
                    self.findings.orphan_names.push(name);
                }
            }
        }
        Ok(())
    }

    /// A file against what was noted when it was stored.
    fn file(&mut self, path: &Path, upload: &Upload) {
        let Attachment {
            name, size, crc32, ..
        } = &upload.attachment;
        match checksum(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.findings.problem(|| format!("file {name} is missing"));
            }
            Err(error) => self
                .findings
                .problem(|| format!("file {name} cannot be read: {error}")),
            Ok((found, _)) if found != *size => self
                .findings
                .problem(|| format!("file {name} has {found} bytes instead of {size}")),
            Ok((_, found)) => self.findings.require(found == *crc32, || {
                format!(
                    "file {name} is damaged: its checksum is {found:08x} instead of {crc32:08x}"
                )
            }),
        }
    }
}

/// Bytes and CRC-32 of a file.
fn checksum(path: &Path) -> std::io::Result<(u64, u32)> {
    let mut file = std::fs::File::open(path)?;
    let (mut hasher, mut size) = (crc32fast::Hasher::new(), 0);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((size, hasher.finalize())),
            read => {
                hasher.update(&buffer[..read]);
                size += read as u64;
            }
        }
    }
}

impl Check<'_> {
    /// Each user's count of bytes. None at all means that the directory is from before they were counted.
    fn usage(&mut self, expected: &HashMap<UserId, u64>) -> Result<(), Error> {
        let expected_rows = expected.values().filter(|used| **used > 0).count() as u64;
        let found = self.each(Tree::MediaUsage, |check, key, used: u64| {
            let counted = user_of(key).and_then(|user| expected.get(&user).copied());
            check.findings.require(counted == Some(used), || {
                format!(
                    "{} has files of {} bytes, and the count says {used}",
                    String::from_utf8_lossy(key),
                    counted.unwrap_or(0)
                )
            });
            Ok(())
        })?;
        self.findings
            .require(found == expected_rows || found == 0, || {
                format!("{expected_rows} users have files, and {found} have a count")
            });
        Ok(())
    }
}

fn user_and_rest(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = key.iter().position(|&byte| byte == 0)?;
    Some((&key[..end], &key[end + 1..]))
}

pub(super) fn user_of(key: &[u8]) -> Option<UserId> {
    std::str::from_utf8(key).ok()?.parse().ok()
}

fn user_and_chat(key: &[u8]) -> Option<(UserId, ChatId)> {
    let (user, rest) = user_and_rest(key)?;
    Some((
        user_of(user)?,
        ChatId::from(<[u8; 12]>::try_from(rest).ok()?),
    ))
}
