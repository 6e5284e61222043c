//! What has to go: erased people, messages that are too old, files that nothing shows. It carries on what the chat has begun and
//! removes the files that come of it. It knows no REST and no flags.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::chat::{ErasedCounts, Error, Expiry, Service, TooOld};
use crate::id::UserId;
use crate::media::{Media, MediaError};
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

/// Why an erasure was not finished. It is gone on with at the next look, at the next start and when it is asked for again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfinished {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] Error),
    /// So many files could not be removed. No message shows them, so nobody knows whose they were: any of them may be the user's.
    #[error(
        "The erasure is not finished: {0} file(s) that may be the user's could not be removed; the log says why. \
         It is tried again every hour, at the next start, and when you ask again"
    )]
    FilesStay(usize),
}

/// Removes for good. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Disposal {
    chat: Service,
    media: Arc<Media>,
    /// Files of uploads in flight. Each is written down as to be removed until its message is there, and must not be.
    expected: Arc<Mutex<HashSet<String>>>,
}

impl Disposal {
    /// Files of `media` are those of the messages of `chat`.
    pub fn new(chat: Service, media: Arc<Media>) -> Self {
        Self {
            chat,
            media,
            expected: Arc::default(),
        }
    }

    /// A file is about to get its name. Until a message shows it, it is one to be removed, though not before
    /// [`Disposal::file_has_arrived`].
    pub async fn expect_file(&self, name: String) -> Result<(), Error> {
        self.expected().insert(name.clone());
        let written = self.chat.expect_file(name.clone()).await;
        if written.is_err() {
            self.file_has_arrived(&name);
        }
        written
    }

    /// It is known what became of the message that was to show the file: it is there, or never will be.
    pub fn file_has_arrived(&self, name: &str) {
        self.expected().remove(name);
    }

    /// Removes files that no message shows. Answers those that stay; they are tried again at the next look and the next start.
    pub async fn remove_files(&self, names: Vec<String>) -> Vec<String> {
        let (mut removed, mut stay) = (Vec::new(), Vec::new());
        for name in names {
            match self.media.remove(&name).await {
                Ok(()) => removed.push(name),
                Err(error) => {
                    tracing::warn!(
                        file = name,
                        error = with_cause(&error),
                        "a file that no message shows was not removed"
                    );
                    stay.push(name);
                }
            }
        }
        if removed.is_empty() {
            return stay;
        }
        // Before it is forgotten that they are to go: a power cut could bring them back.
        if let Err(error) = self.media.sync_removed().await {
            tracing::warn!(
                error = with_cause(&error),
                "removed files may come back in a power cut; they are removed again"
            );
            stay.append(&mut removed);
        } else if let Err(error) = self.chat.files_removed(removed).await {
            tracing::warn!(%error, "removed files were not forgotten");
        }
        stay
    }

    /// Removes every file that is to go and belongs to no upload in flight. Answers those that stay.
    async fn remove_doomed(&self) -> Result<Vec<String>, Error> {
        let mut doomed = self.chat.doomed_files().await?;
        {
            let expected = self.expected();
            doomed.retain(|name| !expected.contains(name));
        }
        if doomed.is_empty() {
            return Ok(doomed);
        }
        // One that arrived between the two is not expected any more, and is shown by its message now.
        let still: HashSet<String> = self.chat.doomed_files().await?.into_iter().collect();
        doomed.retain(|name| still.contains(name));
        Ok(self.remove_files(doomed).await)
    }

    /// Erases a user and answers when nothing of theirs is left. An error leaves the rest to the next look or start.
    pub async fn erase_user(&self, user: UserId) -> Result<ErasedCounts, Unfinished> {
        let mut erasure = self.chat.begin_erasure(user, pet_document::erased).await?;
        // Erased before. What cannot be removed now is another's.
        if erasure.is_done() {
            return Ok(erasure.counts());
        }
        while let Some(files) = erasure.step().await? {
            self.remove_files(files).await;
        }
        // All, not only those of these steps: an earlier attempt, or a message deleted long ago, may have left one.
        let stay = self.remove_doomed().await?;
        if !stay.is_empty() {
            return Err(Unfinished::FilesStay(stay.len()));
        }
        Ok(erasure.finish().await?)
    }

    /// Finishes what a crash or an error has left undone: files and users that were to go. To be called before anybody is let in:
    /// no upload is in flight then, and a file that was about to be placed is one that was to go.
    pub async fn finish(&self) -> Result<(), Error> {
        self.chat.count_files().await?;
        self.remove_doomed().await?;
        self.finish_erasures().await
    }

    /// A file that cannot be removed holds up neither the start nor what else has to go.
    async fn finish_erasures(&self) -> Result<(), Error> {
        for user in self.chat.unfinished_erasures().await? {
            tracing::info!("going on with the erasure of a user");
            match self.erase_user(user).await {
                Ok(_) => {}
                Err(Unfinished::Store(error)) => return Err(error),
                Err(error @ Unfinished::FilesStay(_)) => tracing::error!("{error}"),
            }
        }
        Ok(())
    }

    fn expected(&self) -> MutexGuard<'_, HashSet<String>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.remove_doomed().await?;
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
                what = if matches!(what, TooOld::Content(_)) {
                    "content"
                } else {
                    "media"
                },
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

/// What the media directory says is in the cause; clients are not told of that.
fn with_cause(error: &MediaError) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// The moment `age` before `now`.
fn before(now: Timestamp, age: Duration) -> Timestamp {
    let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    Timestamp(now.0.saturating_sub(age))
}
