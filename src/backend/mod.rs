//! An existing backend beside this server: users and pets that it knows are pulled from it when they are first needed, and again when
//! what it said has grown old. What is known is served meanwhile; only what nobody knows yet has to wait for it. It knows no REST of ours
//! and no sockets; what it has learned goes to [`crate::chat`] as an upsert of the host's.

mod address;
mod answer;
mod breaker;
mod client;
mod recent;
mod source;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::address::Address;
pub use self::breaker::Tolerance;
use self::client::{Client, Trouble};
pub use self::client::{TrustError, client_tls};
use self::source::{Kept, Outcome, Source, Terms, Urgency};
use crate::chat::{self, OpenChat, Profile, Service};
use crate::id::{PetId, UserId};
use crate::limits::{Limiter, Rate};
use crate::model::Timestamp;

/// Which backend, and how it is asked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Answers with the profile of the user whose token is presented.
    pub profiles: Option<Address>,
    /// Answers with a pet, to anybody.
    pub pets: Option<Address>,
    /// For one answer.
    pub timeout: Duration,
    /// How long an answer counts.
    pub ttl: Duration,
    /// Requests at once, to each address.
    pub at_once: usize,
    /// When a backend is left alone.
    pub tolerance: Tolerance,
    /// How often one user may name what nobody knows yet.
    pub rate: Rate,
    /// Certificates to trust in place of the public ones.
    pub roots: Option<PathBuf>,
}

/// What a backend has said of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It has told of them, and that counts more than a token's claims.
    Given,
    /// Nothing, as far as is known: the token's claims are all there is.
    None,
}

/// Why a chat cannot be opened yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The backend does not answer and nobody else knows; in so many seconds it may.
    #[error("The marketplace does not answer at the moment; try again")]
    Unavailable(u64),
    /// The caller has named too many things that nobody knew; in so many seconds they may again.
    #[error("Too many requests. Try again in {0} s")]
    RateLimited(u64),
}

/// The backend.
#[derive(Debug)]
pub struct Backend {
    chat: Service,
    profiles: Option<Arc<Source<UserId>>>,
    pets: Option<Arc<Source<PetId>>>,
    asking: Limiter<UserId>,
    /// Requests under way end with this, so that nothing of the chat is held any longer.
    _stopping: DropGuard,
}

impl Backend {
    /// Whether there is one, and it could be asked with these settings; asks nobody.
    pub fn check(settings: &Settings) -> Result<bool, TrustError> {
        if settings.profiles.is_none() && settings.pets.is_none() {
            return Ok(false);
        }
        Client::new(settings.roots.as_deref(), settings.timeout).map(|_| true)
    }

    /// A backend whose users and pets go to `chat`; `None` when no address is given.
    pub fn new(settings: Settings, chat: Service) -> Result<Option<Self>, TrustError> {
        if settings.profiles.is_none() && settings.pets.is_none() {
            return Ok(None);
        }
        let client = Client::new(settings.roots.as_deref(), settings.timeout)?;
        let stopping = CancellationToken::new();
        let terms = Terms {
            timeout: settings.timeout,
            ttl: settings.ttl,
            at_once: settings.at_once,
            tolerance: settings.tolerance,
        };
        if settings.profiles.as_ref().is_some_and(Address::is_exposed) {
            tracing::warn!("--profile-url is plain http: users' tokens can be read on the way");
        }
        let profiles = settings
            .profiles
            .map(|address| Source::new("user", address, client.clone(), terms, stopping.clone()));
        let pets = settings
            .pets
            .map(|address| Source::new("pet", address, client, terms, stopping.clone()));
        Ok(Some(Self {
            chat,
            profiles,
            pets,
            asking: Limiter::new(settings.rate),
            _stopping: stopping.drop_guard(),
        }))
    }

    /// Whether it is asked about users.
    pub fn tells_of_users(&self) -> bool {
        self.profiles.is_some()
    }

    /// Sees to it that the user of `token`, who has been verified, is known as the backend knows them. Waits only for users of whom
    /// nothing is known; fails, with the seconds to wait, only if they still are unknown because the backend did not answer.
    pub async fn user(&self, id: &UserId, token: &str) -> Result<Word, u64> {
        let Some(source) = &self.profiles else {
            return Ok(Word::None);
        };
        match source.recent(id) {
            Some(Outcome::Stored) => return Ok(Word::Given),
            Some(Outcome::Missing) => return Ok(Word::None),
            Some(Outcome::Failed(_)) | None => {}
        }
        if self.has_a_name(id).await {
            source.refresh(id, Some(token.to_owned()), self.keep_profile(id));
            return Ok(Word::None);
        }
        match self.ask_for_user(source, id, token).await {
            Outcome::Stored => Ok(Word::Given),
            Outcome::Missing => Ok(Word::None),
            Outcome::Failed(wait) => Err(seconds(wait)),
        }
    }

    /// Sees to it that what `request` names is known, if the backend knows it: the pet, its owner, and the other side.
    pub async fn before_chat(
        &self,
        caller: &UserId,
        token: &str,
        request: &OpenChat,
    ) -> Result<(), Refusal> {
        if let Some(pet) = &request.pet {
            self.pet(caller, pet).await?;
        }
        // An address without an id tells of nobody but the caller.
        let Some(source) = &self.profiles else {
            return Ok(());
        };
        if !source.address().names_an_id() {
            return Ok(());
        }
        if let Some(other) = &request.participant
            && !self.has_a_name(other).await
        {
            self.may_ask(caller)?;
            let outcome = self.ask_for_user(source, other, token).await;
            if let Outcome::Failed(wait) = outcome
                && self.chat.user(other.clone()).await.is_err()
            {
                return Err(Refusal::Unavailable(seconds(wait)));
            }
        }
        Ok(())
    }

    /// Asks again, behind everybody's back, about those of `pets` that were last asked about too long ago. What is said of one that was
    /// removed here is not kept.
    pub fn refresh_pets<'p>(&self, pets: impl Iterator<Item = &'p PetId>) {
        if let Some(source) = &self.pets {
            for pet in pets {
                source.refresh(pet, None, self.keep_pet(pet));
            }
        }
    }

    async fn pet(&self, caller: &UserId, id: &PetId) -> Result<(), Refusal> {
        let Some(source) = &self.pets else {
            return Ok(());
        };
        if self.chat.pet(id.clone()).await.is_ok() {
            source.refresh(id, None, self.keep_pet(id));
            return Ok(());
        }
        // Whatever the backend says: only the host brings a removed pet back. The chat says 404 by itself.
        if self.chat.is_pet_removed(id.clone()).await == Ok(true) {
            return Ok(());
        }
        let outcome = if let Some(outcome) = source.recent(id) {
            outcome
        } else {
            self.may_ask(caller)?;
            source
                .ask(id, None, Urgency::Awaited, self.keep_pet(id))
                .await
        };
        match outcome {
            // The chat says 404 by itself.
            Outcome::Stored | Outcome::Missing => Ok(()),
            Outcome::Failed(wait) => Err(Refusal::Unavailable(seconds(wait))),
        }
    }

    async fn ask_for_user(
        &self,
        source: &Arc<Source<UserId>>,
        id: &UserId,
        token: &str,
    ) -> Outcome {
        let keep = self.keep_profile(id);
        source
            .ask(id, Some(token.to_owned()), Urgency::Awaited, keep)
            .await
    }

    /// Whether more is known of a user than that they exist.
    async fn has_a_name(&self, id: &UserId) -> bool {
        let user = self.chat.user(id.clone()).await;
        user.is_ok_and(|user| user.name != id.stub_name())
    }

    fn may_ask(&self, caller: &UserId) -> Result<(), Refusal> {
        let taken = self.asking.take(caller, Instant::now());
        taken.map_err(|wait| Refusal::RateLimited(seconds(wait)))
    }

    fn keep_profile(
        &self,
        id: &UserId,
    ) -> impl FnOnce(serde_json::Value) -> Keeping + Send + use<> {
        let (chat, id) = (self.chat.clone(), id.clone());
        move |answer| {
            Box::pin(async move {
                let profile = answer::profile(&id, answer).map_err(senseless)?;
                keep_user(&chat, profile).await.map(|()| Kept::Yes)
            })
        }
    }

    fn keep_pet(&self, id: &PetId) -> impl FnOnce(serde_json::Value) -> Keeping + Send + use<> {
        let (chat, id) = (self.chat.clone(), id.clone());
        move |answer| {
            Box::pin(async move {
                let listing = answer::pet(&id, answer).map_err(senseless)?;
                if let Some(owner) = listing.owner {
                    keep_owner(&chat, owner).await?;
                }
                let known = chat.pet(id.clone()).await;
                if known.is_ok_and(|known| known == listing.pet) {
                    return Ok(Kept::Yes);
                }
                match chat.put_pet_unless_removed(listing.pet).await {
                    Ok(()) => Ok(Kept::Yes),
                    Err(chat::Error::PetNotFound) => Ok(Kept::No),
                    Err(error) => Err(not_stored(error)),
                }
            })
        }
    }
}

type Keeping = std::pin::Pin<Box<dyn Future<Output = Result<Kept, Trouble>> + Send>>;

/// Stores what is new of a user, as an upsert of the host's.
async fn keep_user(chat: &Service, profile: Profile) -> Result<(), Trouble> {
    let known = chat.user(profile.id.clone()).await;
    let is_known = known.is_ok_and(|user| {
        let says_nothing_new = |new: &Option<String>, old: Option<&String>| {
            new.as_ref().is_none_or(|new| Some(new) == old)
        };
        says_nothing_new(&profile.name, Some(&user.name))
            && says_nothing_new(&profile.email, user.email.as_ref())
            && says_nothing_new(&profile.picture, user.picture.as_ref())
    });
    if is_known {
        return Ok(());
    }
    let said_at = Some(Timestamp::now().unix_seconds().into());
    let profile = Profile { said_at, ..profile };
    put(chat, profile).await
}

/// A backend that was not told to forget somebody does not bring them back.
async fn put(chat: &Service, profile: Profile) -> Result<(), Trouble> {
    match chat.put_user_unless_erased(profile).await {
        Ok(_) | Err(chat::Error::UserNotFound) => Ok(()),
        Err(error) => {
            tracing::warn!(%error, "what the backend said could not be stored");
            Err(Trouble::NotStored)
        }
    }
}

/// The owner of a pet exists, on the backend's word. What their own profile has said counts more than what stands in a listing.
async fn keep_owner(chat: &Service, owner: Profile) -> Result<(), Trouble> {
    match chat.user(owner.id.clone()).await {
        Ok(user) if owner.name.is_none() || user.name != owner.id.stub_name() => Ok(()),
        // A stub is no word of the host's on which a token's claims would have to wait.
        Err(_) if owner.name.is_none() => put(chat, owner).await,
        _ => keep_user(chat, owner).await,
    }
}

fn senseless(error: answer::Senseless) -> Trouble {
    Trouble::Senseless(error.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn not_stored(error: chat::Error) -> Trouble {
    tracing::warn!(%error, "what the backend said could not be stored");
    Trouble::NotStored
}

/// Whole seconds to wait, at least one.
fn seconds(wait: Duration) -> u64 {
    wait.as_millis()
        .div_ceil(1000)
        .max(1)
        .try_into()
        .unwrap_or(u64::MAX)
}
