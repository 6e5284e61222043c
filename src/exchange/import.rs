//! Into the store: everything is read and judged before anything is written; then users and pets as they come, and the
//! messages chat by chat, from the chat that stands lowest in people's lists, in the order in which they were said.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;

use serde::Serialize;

use super::draft::{Draft, MessageDraft};
use super::error::Error;
use super::marks::Marks;
use super::original::Notes;
use super::plan::{Existing, Plan, Rowcount};
use super::rows::Rows;
use super::sort::{Key, Sorted, Sorter};
use super::source::{self, Kind, Reader, Source};
use super::write::{self, Chunk, Fate, Written};
use crate::id::ChatId;
use crate::media::{self, Media, Owner};
use crate::store::{self, Inspection, Reading, Store};

/// Messages in one job, and bytes of them.
const CHUNK: usize = 256;
const CHUNK_BYTES: usize = 256 * 1024;
/// Jobs that are under way; the writer makes one group of those that wait.
const UNDER_WAY: usize = 64;
/// Between two checkpoints, which bound what is done again after a crash.
const CHECKPOINT_EVERY: u64 = 200_000;

/// What to import and where to.
#[derive(Debug, Clone)]
pub struct Import {
    /// Files, and directories of files.
    pub paths: Vec<PathBuf>,
    /// What documents of mongoexport are, where their file's name does not tell.
    pub kind: Option<Kind>,
    /// The field of a pet that names its seller.
    pub pet_owner: String,
    /// Where the media files are.
    pub media: Option<PathBuf>,
    /// Files of the original keep what tells where they were made.
    pub keep_metadata: bool,
    /// Leave bad rows out instead of refusing everything.
    pub skip_bad: bool,
    /// Read and judge only.
    pub dry_run: bool,
    /// The store.
    pub data_dir: PathBuf,
    /// Bytes of its page cache.
    pub cache: u64,
    /// Where its media files go.
    pub media_dir: PathBuf,
}

/// How far an import has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Judging; in bytes.
    Reading,
    /// Writing users and pets, ordering messages; in bytes.
    Ordering,
    /// Writing messages; in messages.
    Writing,
}

/// Rows by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// New.
    pub added: u64,
    /// Known, and now different.
    pub changed: u64,
    /// Known and left as they are.
    pub unchanged: u64,
    /// Left out: of somebody who was erased, or a pet that was removed.
    pub gone: u64,
}

impl Counts {
    fn count(&mut self, fate: Fate) {
        match fate {
            Fate::Added => self.added += 1,
            Fate::Changed => self.changed += 1,
            Fate::Unchanged => self.unchanged += 1,
            Fate::Gone => self.gone += 1,
        }
    }
}

/// What an import did, or in a dry run what it found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// Good rows in the files.
    pub read: Rowcount,
    /// Messages in the files that were stored before.
    pub known_messages: u64,
    /// People who were erased: added are those of whom that is known from now on.
    pub erased: Counts,
    /// Users; for those of whom only the id is known see `stubs`.
    pub users: Counts,
    /// Pets.
    pub pets: Counts,
    /// Chats; those that were merged into another are not counted.
    pub chats: Counts,
    /// Messages; changed are those that got their file.
    pub messages: Counts,
    /// Participants of whom nothing but the id was known.
    pub stubs: u64,
    /// Messages of people who were erased: they came as deleted ones, without anything that they had carried.
    pub erased_messages: u64,
    /// Chats that are one here: same participants, pet and type.
    pub merged_chats: u64,
    /// The first hundred of them, old id and id.
    pub merged: Vec<(ChatId, ChatId)>,
    /// Media files copied.
    pub files: u64,
    /// Media files that were not found, damaged, or no pictures and videos.
    pub missing_files: u64,
    /// Remarks and how often they apply.
    pub notes: Notes,
    /// Rows that were refused.
    pub bad_rows: u64,
    /// The first hundred problems.
    pub told: Vec<String>,
}

/// Imports. With bad rows and without `skip_bad` nothing is changed, and the answer says what they are.
pub async fn import(
    import: &Import,
    progress: &mut (dyn FnMut(Stage, u64, u64) + Send),
) -> Result<Imported, Error> {
    let sources = source::find(&import.paths, import.kind)?;
    let bytes: u64 = sources.iter().map(|source| source.bytes).sum();
    let plan = judge(import, &sources, &mut |done| {
        progress(Stage::Reading, done, bytes * 2);
    })?;
    let mut imported = Imported {
        read: plan.rows,
        known_messages: plan.known_messages,
        merged_chats: plan.merged,
        merged: plan.told_merged.clone(),
        notes: plan.notes.clone(),
        bad_rows: plan.bad,
        told: plan.told.clone(),
        ..Imported::default()
    };
    if import.dry_run || plan.bad > 0 && !import.skip_bad {
        return Ok(imported);
    }
    let (store, writer) = Store::open(&store::Options {
        data_dir: import.data_dir.clone(),
        cache: import.cache,
        queue: UNDER_WAY * 2,
    })?;
    // Another server would take what is copied for nobody's.
    let owner = Owner::take(&import.media_dir, &import.data_dir)?;
    let mut writing = Writing {
        import,
        plan: &plan,
        media: Media::open(&import.media_dir, as_uploads(import.keep_metadata))
            .map_err(Error::file(&import.media_dir))?,
        store,
        imported: &mut imported,
        under_way: VecDeque::new(),
        since_checkpoint: 0,
        done: 0,
    };
    let outcome = writing.all(&sources, bytes, progress).await;
    drop((writing, owner));
    writer.join();
    outcome.map(|()| imported)
}

/// Files of the original are taken as uploads are, which must not publish where somebody lives; but what another server took is not
/// refused for its size. Those of an export do not come this way: they keep their bytes, so that checksums hold.
const fn as_uploads(keep_metadata: bool) -> media::Settings {
    media::Settings {
        keep_metadata,
        ..media::Settings::with_max_file_size(u64::MAX)
    }
}

fn judge(
    import: &Import,
    sources: &[Source],
    progress: &mut dyn FnMut(u64),
) -> Result<Plan, Error> {
    let reading = if import.data_dir.join("journal").is_dir() {
        let inspection = Inspection {
            data_dir: import.data_dir.clone(),
            media: None,
            cache: import.cache,
        };
        Some(Reading::open(&inspection, |_, _| ())?)
    } else {
        None
    };
    let tables = reading.as_ref().map(Reading::tables);
    Plan::make(
        sources,
        &import.pet_owner,
        &Existing(tables.as_ref()),
        progress,
    )
}

/// The name of the mark that a directory bears while what is being imported into it is not whole.
pub const UNFINISHED: &str = "import-unfinished";

/// A job that is under way.
type UnderWay = Pin<Box<dyn Future<Output = Result<Done, store::Error>>>>;

enum Done {
    Erased(Fate),
    Mark,
    User(Fate),
    Pet(Fate),
    Chunk(Box<Written>),
}

pub(super) struct Writing<'a> {
    pub(super) import: &'a Import,
    plan: &'a Plan,
    pub(super) media: Media,
    pub(super) store: Store,
    pub(super) imported: &'a mut Imported,
    under_way: VecDeque<UnderWay>,
    since_checkpoint: u64,
    done: u64,
}

impl Writing<'_> {
    async fn all(
        &mut self,
        sources: &[Source],
        bytes: u64,
        progress: &mut (dyn FnMut(Stage, u64, u64) + Send),
    ) -> Result<(), Error> {
        self.begin().await?;
        let mut sorter = Sorter::new(&self.import.data_dir);
        let ranks = self.plan.ranks();
        let mut places = vec![0; ranks.len()];
        for (place, &slot) in (0_u64..).zip(&ranks) {
            places[slot] = place;
        }
        let mut read = 0;
        for source in sources {
            let mut rows = Rows::open(&source.path).map_err(Error::file(&source.path))?;
            while let Some((_, row)) = rows.next().map_err(Error::file(&source.path))? {
                progress(Stage::Ordering, read + rows.taken, bytes);
                if let Ok(row) = row {
                    self.row(source, &row, &places, &mut sorter).await?;
                }
            }
            read += source.bytes;
        }
        self.wait_until(0).await?;
        let mut messages = sorter
            .sorted()
            .map_err(Error::file(&self.import.data_dir))?;
        self.chats(&ranks, &mut messages, progress).await?;
        self.wait_until(0).await?;
        let stored = self.plan.chats.iter().filter(|chat| !chat.is_refused);
        self.imported.chats.unchanged = stored.count() as u64 - self.imported.chats.added;
        self.store
            .write(|tx| {
                tx.remove_mark(UNFINISHED);
                Ok::<_, store::Error>(())
            })
            .await?;
        self.checkpoint().await
    }

    /// Writes what all others depend on: that this is not whole yet, and of whom nothing may come.
    async fn begin(&mut self) -> Result<(), Error> {
        let now = crate::model::Timestamp::now();
        let job = self
            .store
            .submit(move |tx| tx.put_mark(UNFINISHED, now))
            .await?;
        self.follow(Box::pin(async move { job.await.map(|()| Done::Mark) }))
            .await?;
        let plan = self.plan;
        for (user, erased) in plan.erased.iter().cloned() {
            let job = self
                .store
                .submit(move |tx| write::put_erased(tx, &user, erased))
                .await?;
            self.follow(Box::pin(async move { job.await.map(Done::Erased) }))
                .await?;
        }
        let marks = plan.marks.iter().filter(|(name, _)| name != UNFINISHED);
        for (name, at) in marks.cloned() {
            let job = self
                .store
                .submit(move |tx| write::put_mark(tx, &name, at))
                .await?;
            self.follow(Box::pin(async move { job.await.map(|()| Done::Mark) }))
                .await?;
        }
        Ok(())
    }

    /// Writes a user or a pet, and puts a message in order. Bad rows have been told.
    async fn row(
        &mut self,
        source: &Source,
        bytes: &[u8],
        places: &[u64],
        sorter: &mut Sorter,
    ) -> Result<(), Error> {
        let mut reader = Reader {
            pet_owner: &self.import.pet_owner,
            notes: &mut Notes::default(),
        };
        match reader.read(source.content, bytes) {
            Ok(Draft::User(user)) => {
                let job = self
                    .store
                    .submit(move |tx| write::put_user(tx, user))
                    .await?;
                self.follow(Box::pin(async move { job.await.map(Done::User) }))
                    .await
            }
            Ok(Draft::Pet(pet)) => {
                let job = self.store.submit(move |tx| write::put_pet(tx, pet)).await?;
                self.follow(Box::pin(async move { job.await.map(Done::Pet) }))
                    .await
            }
            Ok(Draft::Block(user, blocked, at)) => {
                let job = self
                    .store
                    .submit(move |tx| write::put_block(tx, &user, &blocked, at))
                    .await?;
                self.follow(Box::pin(async move { job.await.map(|()| Done::Mark) }))
                    .await
            }
            Ok(Draft::Report(report)) => {
                let job = self
                    .store
                    .submit(move |tx| write::put_report(tx, &report))
                    .await?;
                self.follow(Box::pin(async move { job.await.map(|()| Done::Mark) }))
                    .await
            }
            Ok(Draft::Message(draft)) => {
                let Ok(slot) = self.plan.place(&draft) else {
                    return Ok(());
                };
                let row = bincode::serialize(&draft)
                    .map_err(|why| Error::Refused(format!("message {}: {why}", draft.id)))?;
                sorter
                    .push(key(places[slot], &draft), row)
                    .map_err(Error::file(&self.import.data_dir))
            }
            Ok(
                Draft::Header
                | Draft::Erased(..)
                | Draft::Mark(..)
                | Draft::Chat(_)
                | Draft::End(_),
            )
            | Err(_) => Ok(()),
        }
    }

    async fn chats(
        &mut self,
        ranks: &[usize],
        sorted: &mut Sorted,
        progress: &mut (dyn FnMut(Stage, u64, u64) + Send),
    ) -> Result<(), Error> {
        let failed = |error| Error::file(&self.import.data_dir)(error);
        let mut next = sorted.next().map_err(failed)?;
        let plan = self.plan;
        for (place, &slot) in (0_u64..).zip(ranks) {
            let planned = &plan.chats[slot];
            if planned.is_refused {
                continue;
            }
            let mut marks = Marks::new(&planned.draft);
            let mut messages = Vec::new();
            let mut weight = 0;
            while let Some((key, row)) = next.take() {
                if key[..8] != place.to_be_bytes() {
                    next = Some((key, row));
                    break;
                }
                if messages.len() == CHUNK || weight > CHUNK_BYTES {
                    let full = std::mem::take(&mut messages);
                    weight = 0;
                    self.chunk(slot, full, None).await?;
                    progress(Stage::Writing, self.done, plan.rows.messages);
                }
                let draft: MessageDraft = bincode::deserialize(&row)
                    .map_err(|why| failed(io::Error::other(why.to_string())))?;
                marks.see(&draft);
                weight += draft.weight();
                messages.push(draft);
                next = sorted.next().map_err(failed)?;
            }
            self.chunk(slot, messages, Some(marks)).await?;
            progress(Stage::Writing, self.done, plan.rows.messages);
        }
        Ok(())
    }

    async fn chunk(
        &mut self,
        slot: usize,
        mut messages: Vec<MessageDraft>,
        end: Option<Marks>,
    ) -> Result<(), Error> {
        if messages.iter().any(|message| message.file.is_some()) {
            self.fetch(&mut messages).await?;
        }
        self.since_checkpoint += messages.len() as u64;
        self.done += messages.len() as u64;
        let chunk = Chunk {
            chat: self.plan.chats[slot].draft.clone(),
            messages,
            expired: end.as_ref().and_then(Marks::expired),
            marks: end.map(Marks::finish).unwrap_or_default(),
        };
        let job = self.store.submit(move |tx| chunk.write(tx)).await?;
        self.follow(Box::pin(async move {
            job.await.map(|written| Done::Chunk(Box::new(written)))
        }))
        .await?;
        if self.since_checkpoint >= CHECKPOINT_EVERY {
            self.since_checkpoint = 0;
            self.checkpoint().await?;
        }
        Ok(())
    }

    async fn follow(&mut self, job: UnderWay) -> Result<(), Error> {
        self.under_way.push_back(job);
        self.wait_until(UNDER_WAY).await
    }

    /// Waits for the oldest jobs until no more than `count` are under way.
    pub(super) async fn wait_until(&mut self, count: usize) -> Result<(), Error> {
        while self.under_way.len() > count {
            let Some(oldest) = self.under_way.pop_front() else {
                break;
            };
            match oldest.await? {
                Done::Erased(fate) => self.imported.erased.count(fate),
                Done::Mark => {}
                Done::User(fate) => self.imported.users.count(fate),
                Done::Pet(fate) => self.imported.pets.count(fate),
                Done::Chunk(written) => self.imported.count(&written),
            }
        }
        Ok(())
    }

    async fn checkpoint(&mut self) -> Result<(), Error> {
        let store = self.store.clone();
        let saved = tokio::task::spawn_blocking(move || store.checkpoint(1)).await;
        Ok(saved.unwrap_or(Err(store::Error::Panicked))?)
    }
}

impl Imported {
    fn count(&mut self, written: &Written) {
        self.chats.added += u64::from(written.chat_added);
        self.messages.added += written.added;
        self.messages.changed += written.completed;
        self.messages.unchanged += written.known;
        self.stubs += written.stubs;
        self.erased_messages += written.buried;
        for (what, count) in [
            (
                "replies whose message is missing, kept without it",
                written.lost_parents,
            ),
            (
                "client message ids that were used twice, left out",
                written.lost_client_ids,
            ),
            (
                "messages whose id another chat has, left out",
                written.elsewhere,
            ),
        ] {
            if count > 0 {
                *self.notes.entry(what).or_default() += count;
            }
        }
    }
}

/// The chat's place, then the message's: by its number where it has one, by its time where not; then its id.
fn key(place: u64, draft: &MessageDraft) -> Key {
    // Times before 1970 come before the others.
    let by_time = draft.created_at.0.cast_unsigned() ^ (1 << 63);
    let order = if draft.seq > 0 { draft.seq } else { by_time };
    let mut key = [0; 28];
    key[..8].copy_from_slice(&place.to_be_bytes());
    key[8..16].copy_from_slice(&order.to_be_bytes());
    key[16..].copy_from_slice(draft.id.as_bytes());
    key
}
