//! What has to go: erased people, messages that are too old, files that nothing shows. It carries on what the chat has begun and
//! removes the files that come of it. It knows no REST and no flags.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::chat::{ErasedCounts, Error, Expiry, Service, TooOld};
use crate::id::UserId;
use crate::media::Media;
use crate::model::Timestamp;
use crate::pet_document;

/// How often to look for what is too old.
const LOOK_EVERY: Duration = Duration::from_hours(1);
/// Between two pieces of work that nobody waits for: senders come first.
const PAUSE: Duration = Duration::from_millis(20);
/// Files that are looked up at once.
const FILES: usize = 256;

/// What is to go by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Messages older than this lose their content; `None` keeps them.
    pub content: Option<Duration>,
    /// Messages older than this lose their picture or video; `None` keeps them.
    pub media: Option<Duration>,
    /// Files that nothing shows are removed when they were last written so long ago; `None` leaves them.
    pub orphans: Option<Duration>,
}

/// Removes for good. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Disposal {
    chat: Service,
    media: Arc<Media>,
}

impl Disposal {
    /// Files of `media` are those of the messages of `chat`.
    pub fn new(chat: Service, media: Arc<Media>) -> Self {
        Self { chat, media }
    }

    /// Removes files that no message shows. One that cannot be removed now is tried again at the next start.
    pub async fn remove_files(&self, names: Vec<String>) {
        let mut removed = Vec::new();
        for name in names {
            match self.media.remove(&name).await {
                Ok(()) => removed.push(name),
                Err(error) => {
                    tracing::warn!(%error, "a file that no message shows was not removed");
                }
            }
        }
        if removed.is_empty() {
            return;
        }
        if let Err(error) = self.chat.files_removed(removed).await {
            tracing::warn!(%error, "removed files were not forgotten");
        }
    }

    /// Erases a user and answers when nothing of theirs is left. An error leaves the rest to the next look or start.
    pub async fn erase_user(&self, user: UserId) -> Result<ErasedCounts, Error> {
        let mut erasure = self.chat.begin_erasure(user, pet_document::erased).await?;
        while let Some(files) = erasure.step().await? {
            self.remove_files(files).await;
        }
        Ok(erasure.counts())
    }

    /// Finishes what a crash or an error has left undone: files and users that were to go. To be called before anybody is let in:
    /// a file that is about to be placed counts as one that was to go.
    pub async fn finish(&self) -> Result<(), Error> {
        self.remove_files(self.chat.doomed_files().await?).await;
        self.finish_erasures().await
    }

    async fn finish_erasures(&self) -> Result<(), Error> {
        for user in self.chat.unfinished_erasures().await? {
            tracing::info!("going on with the erasure of a user");
            self.erase_user(user).await?;
        }
        Ok(())
    }

    /// Looks for what has to go, now and every hour. Runs until it is dropped.
    pub async fn run(self, policy: Policy) {
        let mut due = tokio::time::interval(LOOK_EVERY);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            if let Err(error) = self.look(policy, Timestamp::now()).await {
                tracing::warn!(%error, "what is too old could not be removed; trying again in an hour");
            }
        }
    }

    /// One look.
    pub async fn look(&self, policy: Policy, now: Timestamp) -> Result<(), Error> {
        self.finish_erasures().await?;
        if policy.content.is_some() || policy.media.is_some() {
            let now = self.chat.advance_retention_clock(now).await?;
            if let Some(age) = policy.content {
                self.expire(TooOld::Content(before(now, age))).await?;
            }
            if let Some(age) = policy.media {
                self.expire(TooOld::Media(before(now, age))).await?;
            }
        }
        if let Some(age) = policy.orphans {
            self.sweep(age).await?;
        }
        Ok(())
    }

    async fn expire(&self, what: TooOld) -> Result<(), Error> {
        let mut expiry: Expiry = self.chat.begin_expiry(what);
        while let Some(files) = expiry.step().await? {
            self.remove_files(files).await;
            tokio::time::sleep(PAUSE).await;
        }
        if expiry.messages() > 0 {
            tracing::info!(
                messages = expiry.messages(),
                ?what,
                "removed what was too old"
            );
        }
        Ok(())
    }

    /// Removes files that no message shows and no upload is about to bring.
    async fn sweep(&self, age: Duration) -> Result<(), Error> {
        let media = Arc::clone(&self.media);
        let names = tokio::task::spawn_blocking(move || media.names_older_than(age)).await;
        let names = match names.map_err(std::io::Error::other).flatten() {
            Ok(names) => names,
            Err(error) => {
                tracing::warn!(%error, "the media directory cannot be read");
                return Ok(());
            }
        };
        for piece in names.chunks(FILES) {
            let unknown = self.chat.unknown_files(piece.to_vec()).await?;
            if !unknown.is_empty() {
                let orphans = self.chat.doom_orphans(unknown).await?;
                tracing::info!(
                    files = orphans.len(),
                    "removing files that no message shows"
                );
                self.remove_files(orphans).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}

/// The moment `age` before `now`.
fn before(now: Timestamp, age: Duration) -> Timestamp {
    let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    Timestamp(now.0.saturating_sub(age))
}
