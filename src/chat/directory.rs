//! The users and pets that the host application tells us about, in tokens or by upsert, and those that it bans or removes.

use std::sync::Arc;

use super::details::stub;
use super::event::Event;
use super::updates::Subject;
use super::{Error, Found, Service, announce};
use crate::id::{PetId, UserId};
use crate::model::{Pet, User};
use crate::store::{Source, Tables};

/// Longest name, e-mail address and picture, in bytes: they go into every message.
const MAX_NAME: usize = 512;
const MAX_EMAIL: usize = 320;
const MAX_PICTURE: usize = 2048;

/// What the host says of a user, in a signed token or by upsert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The host's id.
    pub id: UserId,
    /// Display name.
    pub name: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Avatar.
    pub picture: Option<String>,
    /// When the host said so, in seconds since the epoch, if the token tells.
    pub said_at: Option<u64>,
}

/// Whether what is said of an erased user brings them back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Return {
    Allowed,
    Refused,
}

impl Profile {
    /// Tells two profiles apart; `None` when the token carries only an id.
    fn digest(&self) -> Option<u32> {
        let parts = [&self.name, &self.email, &self.picture];
        if parts.iter().all(|part| part.is_none()) {
            return None;
        }
        let mut hasher = crc32fast::Hasher::new();
        for part in parts {
            hasher.update(part.as_deref().unwrap_or("\u{0}").as_bytes());
            hasher.update(&[0xff]);
        }
        Some(hasher.finalize())
    }

    /// Without what is too long to keep.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.name = self.name.filter(|name| name.len() <= MAX_NAME);
        self.email = self.email.filter(|email| email.len() <= MAX_EMAIL);
        self.picture = self.picture.filter(|picture| picture.len() <= MAX_PICTURE);
        self
    }

    /// The user as of now, given the one that is known; presence and bans stay.
    pub fn applied_to(self, known: Option<User>) -> User {
        let digest = self.digest();
        let mut user = known.unwrap_or_else(|| stub(&self.id));
        user.name = self.name.unwrap_or(user.name);
        user.email = self.email.or(user.email);
        user.picture = self.picture.or(user.picture);
        user.claims_digest = digest.or(user.claims_digest);
        user.told_at = self.said_at.max(user.told_at);
        user
    }
}

impl Service {
    /// Lets the user of a verified token in. A token's profile creates or refreshes the user on its first use, unless the
    /// host has said something newer since.
    pub async fn admit(&self, profile: Profile) -> Result<User, Error> {
        let require_known = self.options.require_known_users;
        let profile = profile.bounded();
        let wanted = profile.clone();
        let known = self
            .store
            .look(move |tables| settled(tables, &wanted, require_known))
            .await?;
        if let Some(user) = known {
            return Ok(user);
        }
        let updates = Arc::clone(&self.updates);
        self.store
            .write(move |tx| {
                if let Some(user) = settled(tx, &profile, require_known)? {
                    return Ok(user);
                }
                let known = tx.user(&profile.id)?;
                let user = profile.applied_to(known.clone());
                tx.put_user(&user)?;
                if known.is_some_and(|known| looks_different(&known, &user)) {
                    let subject = Subject::User(user.id.clone());
                    tx.on_commit(move || updates.add(subject));
                }
                Ok(user)
            })
            .await
    }

    /// Checks that the user is still welcome, for what began before that could change.
    pub async fn check_welcome(&self, user: &UserId) -> Result<(), Error> {
        let id = user.clone();
        self.store
            .look(move |tables| match tables.user(&id)? {
                Some(user) if user.banned => Err(Error::CallerBanned),
                None if tables.erased(&id)?.is_some() => Err(Error::CallerUnknown),
                _ => Ok(()),
            })
            .await
    }

    /// At most `limit` users in the order of their ids, of those that begin with `prefix` and come after `after`.
    pub async fn users(
        &self,
        prefix: String,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Found<User, UserId>, Error> {
        self.store
            .read(move |tables| {
                let found = tables.users(&prefix, after.as_ref()).take(limit + 1);
                let found = found.collect::<Result<_, _>>()?;
                Ok(page(found, limit, |user: &User| user.id.clone()))
            })
            .await
    }

    /// The same of pets.
    pub async fn pets(
        &self,
        prefix: String,
        after: Option<PetId>,
        limit: usize,
    ) -> Result<Found<Pet, PetId>, Error> {
        self.store
            .read(move |tables| {
                let found = tables.pets(&prefix, after.as_ref()).take(limit + 1);
                let found = found.collect::<Result<_, _>>()?;
                Ok(page(found, limit, |pet: &Pet| pet.id.clone()))
            })
            .await
    }

    /// Bans a user, which ends their sockets and has their tokens refused, or lifts the ban.
    pub async fn set_banned(&self, id: UserId, banned: bool) -> Result<User, Error> {
        let events = self.events.clone();
        self.store
            .write(move |tx| {
                let mut user = tx.user(&id)?.ok_or(Error::UserNotFound)?;
                if user.banned == banned {
                    return Ok(user);
                }
                user.banned = banned;
                tx.put_user(&user)?;
                if banned {
                    announce(tx, &events, Event::UserExpelled { user: id });
                }
                Ok(user)
            })
            .await
    }

    /// The user with this id.
    pub async fn user(&self, id: UserId) -> Result<User, Error> {
        self.store
            .look(move |tables| tables.user(&id)?.ok_or(Error::UserNotFound))
            .await
    }

    /// Creates a user or replaces what the host says of one; presence and bans stay. One who was erased may come back by this; while
    /// that is under way, the caller has to wait.
    pub async fn put_user(&self, profile: Profile) -> Result<User, Error> {
        self.upsert_user(profile, Return::Allowed).await
    }

    /// The same for what nobody has decided to say just now: one who was erased stays so, which is [`Error::UserNotFound`].
    pub async fn put_user_unless_erased(&self, profile: Profile) -> Result<User, Error> {
        self.upsert_user(profile, Return::Refused).await
    }

    async fn upsert_user(&self, profile: Profile, erased_may: Return) -> Result<User, Error> {
        if profile != profile.clone().bounded() {
            return Err(Error::InvalidRequest(
                "name may have at most 512 bytes, email 320, profilePicture 2048",
            ));
        }
        let updates = Arc::clone(&self.updates);
        self.store
            .write(move |tx| {
                let id = profile.id.clone();
                let known = tx.user(&id)?;
                let erased = tx.erased(&id)?;
                match erased {
                    Some(_) if erased_may == Return::Refused => return Err(Error::UserNotFound),
                    Some(erased) if !erased.finished => return Err(Error::Unavailable),
                    Some(_) => tx.forget_erased(&id),
                    None => {}
                }
                let before = known.clone();
                let digest = known.as_ref().and_then(|user| user.claims_digest);
                let user = User {
                    claims_digest: digest,
                    ..profile.applied_to(known)
                };
                tx.put_user(&user)?;
                if before.map_or(erased.is_some(), |before| looks_different(&before, &user)) {
                    tx.on_commit(move || updates.add(Subject::User(id)));
                }
                Ok(user)
            })
            .await
    }

    /// The pet with this id.
    pub async fn pet(&self, id: PetId) -> Result<Pet, Error> {
        self.store
            .look(move |tables| tables.pet(&id)?.ok_or(Error::PetNotFound))
            .await
    }

    /// Creates a pet or changes it: `merge` makes the new one from the known one's document. What `merge` refuses is
    /// handed back.
    pub async fn upsert_pet<E: Send + 'static>(
        &self,
        id: PetId,
        merge: impl FnOnce(Option<&str>) -> Result<Pet, E> + Send + 'static,
    ) -> Result<Result<(), E>, Error> {
        let updates = Arc::clone(&self.updates);
        self.store
            .write(move |tx| {
                let known = tx.pet(&id)?;
                let pet = match merge(known.as_ref().map(|pet| pet.document.as_str())) {
                    Ok(pet) => pet,
                    Err(refused) => return Ok(Err(refused)),
                };
                tx.put_pet(&pet)?;
                if known.is_none_or(|known| known != pet) {
                    tx.on_commit(move || updates.add(Subject::Pet(id)));
                }
                Ok(Ok(()))
            })
            .await
    }

    /// Creates or replaces a pet for what nobody has decided to say just now: one that was removed, or whose owner was erased, stays
    /// away, which is [`Error::PetNotFound`].
    pub async fn put_pet_unless_removed(&self, pet: Pet) -> Result<(), Error> {
        let updates = Arc::clone(&self.updates);
        self.store
            .write(move |tx| {
                let is_owner_erased = match &pet.owner {
                    Some(owner) => tx.erased(owner)?.is_some(),
                    None => false,
                };
                if is_owner_erased || tx.removed_pet(&pet.id)?.is_some() {
                    return Err(Error::PetNotFound);
                }
                let known = tx.pet(&pet.id)?;
                tx.put_pet(&pet)?;
                if known.is_none_or(|known| known != pet) {
                    tx.on_commit(move || updates.add(Subject::Pet(pet.id)));
                }
                Ok(())
            })
            .await
    }

    /// Whether there was such a pet and the host, or the erasure of its owner, has taken it away.
    pub async fn is_pet_removed(&self, id: PetId) -> Result<bool, Error> {
        self.store
            .read(move |tables| Ok(tables.removed_pet(&id)?.is_some()))
            .await
    }

    /// Removes a pet; its chats show `stub` of it from now on. Removing it again changes nothing.
    pub async fn remove_pet(
        &self,
        id: PetId,
        stub: impl FnOnce(&Pet) -> Pet + Send + 'static,
    ) -> Result<(), Error> {
        let updates = Arc::clone(&self.updates);
        self.store
            .write(move |tx| {
                let Some(pet) = tx.pet(&id)? else {
                    let known = tx.removed_pet(&id)?.map(drop);
                    return known.ok_or(Error::PetNotFound);
                };
                tx.remove_pet(&stub(&pet))?;
                tx.on_commit(move || updates.add(Subject::Pet(id)));
                Ok(())
            })
            .await
    }

    /// Creates or replaces a pet, also one that was removed.
    pub async fn put_pet(&self, pet: Pet) -> Result<(), Error> {
        self.store.write(move |tx| Ok(tx.put_pet(&pet)?)).await
    }
}

/// The user, when the token tells nothing new; `None` when there is something to write.
fn settled<S: Source>(
    tables: &Tables<S>,
    profile: &Profile,
    require_known: bool,
) -> Result<Option<User>, Error> {
    match tables.user(&profile.id)? {
        Some(user) if user.banned => Err(Error::CallerBanned),
        Some(user) => {
            let digest = profile.digest();
            let is_older = profile.said_at.is_some() && profile.said_at < user.told_at;
            let tells_nothing_new = digest.is_none() || digest == user.claims_digest || is_older;
            Ok(tells_nothing_new.then_some(user))
        }
        // A token that is still valid must not bring back somebody who was erased.
        None if tables.erased(&profile.id)?.is_some() => Err(Error::CallerUnknown),
        None if require_known => Err(Error::CallerUnknown),
        None => Ok(None),
    }
}

/// Whether others see a difference.
fn looks_different(before: &User, after: &User) -> bool {
    (&before.name, &before.email, &before.picture) != (&after.name, &after.email, &after.picture)
}

/// At most `limit` rows, and the id after which there are more.
fn page<T, I>(mut rows: Vec<T>, limit: usize, id: impl Fn(&T) -> I) -> Found<T, I> {
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| has_more).map(id);
    Found { rows, next }
}
