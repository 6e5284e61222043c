//! Out of the store, a row at a time: everything, what one person has, or one chat. It holds one chat's people in memory and
//! never its messages.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::error::Error;
use super::files::Files;
use super::import::UNFINISHED;
use super::page::{Html, Json, Page, Text};
use super::record::{
    ChatRecord, End, ErasedRecord, FORMAT, Header, MarkRecord, MessageRecord, PetRecord, Receipt,
    UserRecord, VERSION,
};
use super::social::{BlockRecord, ReportRecord};
use super::when::Moment;
use crate::chat::Gatherer;
use crate::id::{ChatId, PetId, UserId};
use crate::model::{Chat, Message, Pet, Timestamp, User};
use crate::store::{Source, Tables};

/// What is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    All,
    /// A person's profile and chats, with everything that was said in them.
    User(UserId),
    /// One chat.
    Chat(ChatId),
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, which `import` reads.
    Ndjson,
    /// One JSON document, in the shapes of the API.
    Json,
    /// A page that needs nothing else.
    Html,
    /// Plain text.
    Text,
}

/// What to export and how.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// What.
    pub scope: Scope,
    /// How; everything only as [`Format::Ndjson`].
    pub format: Format,
    /// Copies the media files from the first directory to the second.
    pub media: Option<(&'a Path, &'a Path)>,
    /// What a page puts before a file's name to link to it; without it names are not linked.
    pub link: Option<String>,
    /// The moment that is written as that of the export.
    pub now: Timestamp,
}

/// What was exported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exported {
    /// People who were erased, of whom nothing but that is known.
    pub erased: u64,
    /// Users.
    pub users: u64,
    /// Pets.
    pub pets: u64,
    /// Chats.
    pub chats: u64,
    /// Messages, deleted ones included.
    pub messages: u64,
    /// Media files copied.
    pub files: u64,
    /// Media files that are missing or damaged.
    pub missing_files: u64,
    /// The first hundred of those.
    pub told: Vec<String>,
}

/// Writes to `out` what is asked for. `progress` hears of messages written and of how many there will be.
pub fn export<S: Source>(
    tables: &Tables<S>,
    request: &Request<'_>,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Exported, Error> {
    let files = request.media.map(|(from, to)| Files::new(from, to));
    let mut export = Export {
        tables,
        request,
        out,
        progress,
        files: files.transpose()?,
        total: 0,
        exported: Exported::default(),
    };
    match request.format {
        Format::Ndjson => export.ndjson()?,
        Format::Json => export.page(Json::default())?,
        Format::Html => export.page(Html::new(request.link.clone()))?,
        Format::Text => export.page(Text)?,
    }
    export.out.flush().map_err(Error::Output)?;
    if let Some(files) = export.files {
        files.sync()?;
        export.exported.files = files.copied;
        export.exported.missing_files = files.missing;
        export.exported.told = files.told;
    }
    Ok(export.exported)
}

struct Export<'a, S> {
    tables: &'a Tables<S>,
    request: &'a Request<'a>,
    out: &'a mut dyn Write,
    progress: &'a mut dyn FnMut(u64, u64),
    files: Option<Files>,
    total: u64,
    exported: Exported,
}

impl<S: Source> Export<'_, S> {
    fn ndjson(&mut self) -> Result<(), Error> {
        let (user, chat) = match &self.request.scope {
            Scope::All => (None, None),
            Scope::User(user) => (Some(user.clone()), None),
            Scope::Chat(chat) => (None, Some(*chat)),
        };
        if let Some(id) = &user
            && self.tables.user(id)?.is_none()
            && self.tables.erased(id)?.is_none()
        {
            let (what, id) = ("user", id.to_string());
            return Err(Error::Unknown { what, id });
        }
        let mut people = self.people()?;
        people.extend(user.clone());
        self.line(&Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            exported_at: Moment(self.request.now),
            user,
            chat,
        })?;
        let is_whole = self.request.scope == Scope::All;
        self.erased(is_whole, &people)?;
        if is_whole {
            self.marks()?;
        }
        for user in self.users(is_whole, people) {
            self.line(&UserRecord::from(user?))?;
            self.exported.users += 1;
        }
        self.pets(is_whole)?;
        self.blocks()?;
        if is_whole {
            self.reports()?;
        }
        for chat in self.chats()? {
            self.records(chat?)?;
        }
        let end = End {
            r#type: "end".to_owned(),
            erased: self.exported.erased,
            users: self.exported.users,
            pets: self.exported.pets,
            chats: self.exported.chats,
            messages: self.exported.messages,
        };
        self.line(&end)
    }

    /// First, so that whoever reads it knows of whom nothing is to be taken.
    fn erased(&mut self, is_whole: bool, people: &BTreeSet<UserId>) -> Result<(), Error> {
        let tables = self.tables;
        if is_whole {
            for erased in tables.all_erased() {
                let (id, erased) = erased?;
                self.line(&ErasedRecord::new(id, erased))?;
                self.exported.erased += 1;
            }
            return Ok(());
        }
        for id in people {
            if let Some(erased) = tables.erased(id)? {
                self.line(&ErasedRecord::new(id.clone(), erased))?;
                self.exported.erased += 1;
            }
        }
        Ok(())
    }

    fn marks(&mut self) -> Result<(), Error> {
        let tables = self.tables;
        for mark in tables.marks() {
            let (name, at) = mark?;
            // What was not finished here is nothing that the next server could go on with.
            if name != UNFINISHED {
                self.line(&MarkRecord::new(name, at))?;
            }
        }
        Ok(())
    }

    /// All of them, or those of the person it is about.
    fn blocks(&mut self) -> Result<(), Error> {
        let tables = self.tables;
        match &self.request.scope {
            Scope::All => {
                for block in tables.user_blocks() {
                    let (user, blocked, at) = block?;
                    self.line(&BlockRecord::new(user, blocked, at))?;
                }
            }
            Scope::User(user) => {
                for block in tables.blocked_by(user) {
                    let (blocked, at) = block?;
                    self.line(&BlockRecord::new(user.clone(), blocked, at))?;
                }
            }
            Scope::Chat(_) => {}
        }
        Ok(())
    }

    fn reports(&mut self) -> Result<(), Error> {
        let tables = self.tables;
        for report in tables.reports(None) {
            self.line(&ReportRecord::from(report?))?;
        }
        Ok(())
    }

    /// Counts the messages to come, and answers who takes part in the chats unless that is everybody.
    fn people(&mut self) -> Result<BTreeSet<UserId>, Error> {
        let mut people = BTreeSet::new();
        for chat in self.chats()? {
            let chat = chat?;
            self.total += chat.last_seq;
            if self.request.scope != Scope::All {
                people.extend(chat.participants);
            }
        }
        Ok(people)
    }

    fn users<'s>(
        &self,
        is_whole: bool,
        people: BTreeSet<UserId>,
    ) -> Box<dyn Iterator<Item = Result<User, Error>> + 's>
    where
        Self: 's,
    {
        let tables = self.tables;
        if is_whole {
            return Box::new(tables.users("", None).map(|user| Ok(user?)));
        }
        let known = people.into_iter().map(|id| tables.user(&id));
        Box::new(known.filter_map(Result::transpose).map(|user| Ok(user?)))
    }

    fn pets(&mut self, is_whole: bool) -> Result<(), Error> {
        let tables = self.tables;
        if is_whole {
            for pet in tables.pets("", None) {
                self.pet(pet?, false)?;
            }
            for pet in tables.removed_pets() {
                self.pet(pet?, true)?;
            }
            return Ok(());
        }
        let mut ids: BTreeSet<PetId> = BTreeSet::new();
        for chat in self.chats()? {
            ids.extend(chat?.pet);
        }
        for id in ids {
            if let Some(pet) = tables.pet(&id)? {
                self.pet(pet, false)?;
            } else if let Some(pet) = tables.removed_pet(&id)? {
                self.pet(pet, true)?;
            }
        }
        Ok(())
    }

    fn pet(&mut self, pet: Pet, is_removed: bool) -> Result<(), Error> {
        let id = pet.id.clone();
        let record = PetRecord::new(pet, is_removed)
            .map_err(|_| Error::Refused(format!("the document of pet {id} is no JSON")))?;
        self.exported.pets += 1;
        self.line(&record)
    }

    /// The chats of the scope, in an order that stays.
    fn chats<'s>(&self) -> Result<Box<dyn Iterator<Item = Result<Chat, Error>> + 's>, Error>
    where
        Self: 's,
    {
        let tables = self.tables;
        Ok(match &self.request.scope {
            Scope::All => Box::new(tables.chats_after(None).map(|chat| Ok(chat?))),
            Scope::User(user) => {
                Box::new(tables.chats_of(user, 0, usize::MAX)?.into_iter().map(Ok))
            }
            Scope::Chat(id) => {
                let chat = tables.chat(*id)?.ok_or_else(|| Error::Unknown {
                    what: "chat",
                    id: id.to_string(),
                })?;
                Box::new(std::iter::once(Ok(chat)))
            }
        })
    }

    fn records(&mut self, chat: Chat) -> Result<(), Error> {
        let tables = self.tables;
        let (id, last) = (chat.id, chat.last_seq);
        let receipts = chat.participants.iter().map(|user| {
            let state = tables.read_state(user, id)?;
            Ok(Receipt::new(user.clone(), state))
        });
        let receipts = receipts.collect::<Result<_, Error>>()?;
        self.line(&ChatRecord::new(chat, receipts, tables.expired(id)?))?;
        self.exported.chats += 1;
        for message in tables.messages(id, 1..last + 1) {
            let message = message?;
            let parent = match message.parent {
                Some(seq) => tables.message(id, seq)?.map(|parent| parent.id),
                None => None,
            };
            self.count(&message)?;
            self.line(&MessageRecord::new(message, parent))?;
        }
        Ok(())
    }

    fn page(&mut self, mut page: impl Page) -> Result<(), Error> {
        self.people()?;
        let user = match &self.request.scope {
            Scope::User(id) => {
                let known = self.tables.user(id)?;
                let user = known.ok_or_else(|| Error::Unknown {
                    what: "user",
                    id: id.to_string(),
                })?;
                self.exported.users = 1;
                Some(user)
            }
            _ => None,
        };
        page.begin(self.out, user.as_ref(), self.request.now)
            .map_err(Error::Output)?;
        let tables = self.tables;
        for chat in self.chats()? {
            let chat = chat?;
            let (id, last) = (chat.id, chat.last_seq);
            let details = Gatherer::new(tables, chat.clone())?.chat()?;
            page.chat(self.out, &details).map_err(Error::Output)?;
            self.exported.chats += 1;
            let mut gatherer = Gatherer::new(tables, chat)?;
            for message in tables.messages(id, 1..last + 1) {
                let details = gatherer.message(message?)?;
                self.count(&details.message)?;
                page.message(self.out, &details).map_err(Error::Output)?;
            }
            page.end_chat(self.out).map_err(Error::Output)?;
        }
        page.end(self.out).map_err(Error::Output)
    }

    fn count(&mut self, message: &Message) -> Result<(), Error> {
        self.exported.messages += 1;
        (self.progress)(self.exported.messages, self.total);
        match (&mut self.files, &message.attachment) {
            (Some(files), Some(file)) => files.take(file),
            _ => Ok(()),
        }
    }

    fn line(&mut self, record: &impl Serialize) -> Result<(), Error> {
        serde_json::to_writer(&mut *self.out, record)
            .map_err(|error| Error::Output(error.into()))?;
        self.out.write_all(b"\n").map_err(Error::Output)
    }
}
