//! The users and pets that the host application tells us about, in tokens or by upsert.

use super::details::stub;
use super::{Error, Service};
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

    fn applied_to(self, known: Option<User>) -> User {
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
            .read(move |tables| settled(tables, &wanted, require_known))
            .await?;
        if let Some(user) = known {
            return Ok(user);
        }
        self.store
            .write(move |tx| {
                if let Some(user) = settled(tx, &profile, require_known)? {
                    return Ok(user);
                }
                let known = tx.user(&profile.id)?;
                let user = profile.applied_to(known);
                tx.put_user(&user)?;
                Ok(user)
            })
            .await
    }

    /// The user with this id.
    pub async fn user(&self, id: UserId) -> Result<User, Error> {
        self.store
            .read(move |tables| tables.user(&id)?.ok_or(Error::UserNotFound))
            .await
    }

    /// Creates a user or replaces what the host says of one; presence and bans stay.
    pub async fn put_user(&self, profile: Profile) -> Result<User, Error> {
        if profile != profile.clone().bounded() {
            return Err(Error::InvalidRequest(
                "name may have at most 512 bytes, email 320, profilePicture 2048",
            ));
        }
        self.store
            .write(move |tx| {
                let known = tx.user(&profile.id)?;
                let digest = known.as_ref().and_then(|user| user.claims_digest);
                let user = User {
                    claims_digest: digest,
                    ..profile.applied_to(known)
                };
                tx.put_user(&user)?;
                Ok(user)
            })
            .await
    }

    /// The pet with this id.
    pub async fn pet(&self, id: PetId) -> Result<Pet, Error> {
        self.store
            .read(move |tables| tables.pet(&id)?.ok_or(Error::PetNotFound))
            .await
    }

    /// Creates a pet or changes it: `merge` makes the new one from the known one's document. What `merge` refuses is
    /// handed back.
    pub async fn upsert_pet<E: Send + 'static>(
        &self,
        id: PetId,
        merge: impl FnOnce(Option<&str>) -> Result<Pet, E> + Send + 'static,
    ) -> Result<Result<(), E>, Error> {
        self.store
            .write(move |tx| {
                let known = tx.pet(&id)?;
                match merge(known.as_ref().map(|pet| pet.document.as_str())) {
                    Ok(pet) => tx.put_pet(&pet)?,
                    Err(refused) => return Ok(Err(refused)),
                }
                Ok(Ok(()))
            })
            .await
    }

    /// Creates or replaces a pet.
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
        None if require_known => Err(Error::CallerUnknown),
        None => Ok(None),
    }
}
