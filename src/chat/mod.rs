//! The rules of the chat, each written once, for REST and sockets alike.
//!
//! [`Service`] takes typed requests, runs each rule as one job on the store's writer thread (or one read), and answers.
//! What others have to hear of leaves as [`Event`]s after the commit, in commit order. It knows no JSON, no HTTP and no
//! sockets.

mod burial;
mod chats;
mod content;
mod details;
mod directory;
mod erasure;
mod error;
mod event;
mod floods;
mod history;
mod messages;
mod operations;
mod oversight;
mod presence;
mod receipts;
mod reports;
mod retention;
#[cfg(test)]
mod tests;
mod typing;
mod updates;
mod user_blocks;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

pub use self::burial::DELETED;
pub use self::chats::{ChatPage, OpenChat};
pub use self::content::Content;
pub use self::details::{ChatDetails, Gatherer, MessageDetails, Participant, Status};
pub use self::directory::Profile;
pub use self::erasure::{ErasedCounts, Erasure, PetStub};
pub use self::error::Error;
pub use self::event::{Event, UnreadChange};
pub use self::floods::Bounds;
use self::floods::Watch;
pub use self::history::{History, HistoryPage, Pages};
pub use self::messages::{MAX_CLIENT_ID, NewMessage, Sent};
pub use self::operations::{Compaction, Footprint, Load, Statistics, StorageState};
pub use self::oversight::{Chats, Found};
pub use self::presence::{Presence, PresenceTold};
use self::receipts::Receipts;
pub use self::reports::{NewReport, Reported, check_note};
pub use self::retention::{Expiry, TooOld};
use self::updates::Updates;
use crate::guard::Guard;
use crate::id::UserId;
use crate::limits::{Limiter, Rate};
use crate::store::{Store, Transaction};

/// Events that may wait for delivery; past it the writer waits.
pub const EVENT_QUEUE: usize = 4096;

/// `online` costs a write and a word to every contact; a client has no reason to say it more often.
const GREETING_RATE: Rate = Rate {
    per_minute: 12,
    burst: 5,
};

/// A user who goes costs a write and a word to every contact. Who comes and goes more often than this is given the time to come back,
/// as somebody who was lost.
const PARTING_RATE: Rate = Rate {
    per_minute: 12,
    burst: 5,
};

/// Who asks, and on behalf of which socket.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The authenticated user.
    pub user: UserId,
    /// The caller's own socket, left out of what the call makes others hear.
    pub origin: Option<String>,
    /// From where, if it came over a network.
    pub address: Option<IpAddr>,
}

impl Caller {
    /// The user, from nowhere in particular.
    pub fn new(user: UserId) -> Self {
        Self {
            user,
            origin: None,
            address: None,
        }
    }
}

/// What the operator decides. The default limits nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Refuse tokens of users about whom the host has told us nothing.
    pub require_known_users: bool,
    /// Fetching a page of history marks it read.
    pub mark_read_on_fetch: bool,
    /// Bytes of files that one user may have in messages; 0 for no limit.
    pub media_quota: u64,
    /// People whom one user may block; 0 for no limit.
    pub blocked_users: u32,
    /// How long a user whose last connection was lost is still online.
    pub offline_grace: Duration,
}

/// The chat: every rule is a method, in the file named after its subject. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    store: Store,
    events: mpsc::Sender<Event>,
    presence: Arc<Presence>,
    receipts: Arc<Receipts>,
    updates: Arc<Updates>,
    counting: Arc<tokio::sync::Mutex<()>>,
    compacting: Arc<tokio::sync::Mutex<()>>,
    greeting: Arc<Limiter<UserId>>,
    parting: Arc<Limiter<UserId>>,
    watch: Arc<Watch>,
    options: Options,
}

impl Service {
    /// A service over `store`, and the events that come out of it.
    pub fn new(store: Store, options: Options) -> (Self, mpsc::Receiver<Event>) {
        let (events, out) = mpsc::channel(EVENT_QUEUE);
        let service = Self {
            store,
            events,
            presence: Arc::default(),
            receipts: Arc::default(),
            updates: Arc::default(),
            counting: Arc::default(),
            compacting: Arc::default(),
            greeting: Arc::new(Limiter::new(GREETING_RATE)),
            parting: Arc::new(Limiter::new(PARTING_RATE)),
            watch: Arc::default(),
            options,
        };
        (service, out)
    }

    /// The same service, which refuses what looks like a flood and tells `guard` of it. Without this nothing is too much.
    #[must_use]
    pub fn watched_by(self, guard: Arc<Guard>, bounds: Bounds) -> Self {
        Self {
            watch: Arc::new(Watch::new(guard, bounds)),
            ..self
        }
    }

    /// Who is online.
    pub fn presence(&self) -> &Presence {
        &self.presence
    }

    /// Whether writes can be taken.
    pub fn is_healthy(&self) -> bool {
        self.store.is_healthy()
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Lets `event` out once the commit is on stable storage. The channel is bounded: the writer waits for delivery
/// rather than pile up.
fn announce(transaction: &mut Transaction<'_>, events: &mpsc::Sender<Event>, event: Event) {
    transaction.record_event(event.record());
    let events = events.clone();
    transaction.on_commit(move || {
        // Nobody listens any more only while the server shuts down, when clients fetch what they missed.
        let _ = events.blocking_send(event);
    });
}
