//! The users and pets that the host application has told us about, and what is left of those that it took back.

use super::codec;
use super::error::Error;
use super::keys::{self, Tree};
use super::tables::{Sink, Source, Tables};
use crate::id::{PetId, UserId};
use crate::model::{Erased, Pet, Timestamp, User};

impl<S: Source> Tables<S> {
    /// The user with this id.
    pub fn user(&self, id: &UserId) -> Result<Option<User>, Error> {
        self.record(Tree::Users, id.as_str().as_bytes())
    }

    /// The pet with this id.
    pub fn pet(&self, id: &PetId) -> Result<Option<Pet>, Error> {
        self.record(Tree::Pets, id.as_str().as_bytes())
    }

    /// Users in the order of their ids, of those that begin with `prefix` and come after `after`.
    pub fn users(
        &self,
        prefix: &str,
        after: Option<&UserId>,
    ) -> impl Iterator<Item = Result<User, Error>> {
        let range = keys::texts(prefix, after.map(UserId::as_str));
        self.records(Tree::Users, range)
    }

    /// Pets in the order of their ids, of those that begin with `prefix` and come after `after`.
    pub fn pets(
        &self,
        prefix: &str,
        after: Option<&PetId>,
    ) -> impl Iterator<Item = Result<Pet, Error>> {
        let range = keys::texts(prefix, after.map(PetId::as_str));
        self.records(Tree::Pets, range)
    }

    /// What is left of a pet that was removed.
    pub fn removed_pet(&self, id: &PetId) -> Result<Option<Pet>, Error> {
        self.record(Tree::RemovedPets, id.as_str().as_bytes())
    }

    /// Whether, and when, the user was erased.
    pub fn erased(&self, id: &UserId) -> Result<Option<Erased>, Error> {
        self.record(Tree::Erased, id.as_str().as_bytes())
    }

    /// Everybody who was erased, or is to be, in the order of their ids.
    pub fn all_erased(&self) -> impl Iterator<Item = Result<(UserId, Erased), Error>> {
        let rows = self.0.range(Tree::Erased, keys::texts("", None));
        rows.map(|row| {
            let (key, value) = row?;
            let id = std::str::from_utf8(&key).ok();
            let id = id.and_then(|id| id.parse().ok());
            let id = id.ok_or_else(|| codec::unreadable(Tree::Erased, "no user".to_owned()))?;
            Ok((id, codec::decode(Tree::Erased, &value)?))
        })
    }

    /// The users of whom there may be something left, though they are to be erased.
    pub fn unfinished_erasures(&self) -> Result<Vec<UserId>, Error> {
        let mut unfinished = Vec::new();
        for row in self.all_erased() {
            let (id, erased) = row?;
            if !erased.finished {
                unfinished.push(id);
            }
        }
        Ok(unfinished)
    }

    /// What is left of all pets that were removed, in the order of their ids.
    pub fn removed_pets(&self) -> impl Iterator<Item = Result<Pet, Error>> {
        self.records(Tree::RemovedPets, keys::texts("", None))
    }

    /// All moments that are remembered, by their names.
    pub fn marks(&self) -> impl Iterator<Item = Result<(String, Timestamp), Error>> {
        let rows = self.0.range(Tree::Marks, keys::texts("", None));
        rows.map(|row| {
            let (key, value) = row?;
            let name = String::from_utf8(key.to_vec());
            let name = name.map_err(|_| codec::unreadable(Tree::Marks, "no name".to_owned()))?;
            Ok((name, codec::decode(Tree::Marks, &value)?))
        })
    }

    /// A moment that was remembered under this name.
    pub fn mark(&self, name: &str) -> Result<Option<Timestamp>, Error> {
        self.record(Tree::Marks, name.as_bytes())
    }
}

impl<S: Sink> Tables<S> {
    /// Creates or replaces a user.
    pub fn put_user(&mut self, user: &User) -> Result<(), Error> {
        self.put(Tree::Users, user.id.as_str().as_bytes(), user)
    }

    /// Creates or replaces a pet, also one that was removed.
    pub fn put_pet(&mut self, pet: &Pet) -> Result<(), Error> {
        if self.removed_pet(&pet.id)?.is_some() {
            self.remove(Tree::RemovedPets, pet.id.as_str().as_bytes().to_vec());
        }
        self.put(Tree::Pets, pet.id.as_str().as_bytes(), pet)
    }

    /// Forgets a user's profile.
    pub fn remove_user(&mut self, id: &UserId) {
        self.remove(Tree::Users, id.as_str().as_bytes().to_vec());
    }

    /// Remembers that a user is to be, or was, erased.
    pub fn put_erased(&mut self, id: &UserId, erased: Erased) -> Result<(), Error> {
        self.put(Tree::Erased, id.as_str().as_bytes(), &erased)
    }

    /// The user may come back.
    pub fn forget_erased(&mut self, id: &UserId) {
        self.remove(Tree::Erased, id.as_str().as_bytes().to_vec());
    }

    /// Removes a pet; its chats show `stub` from now on.
    pub fn remove_pet(&mut self, stub: &Pet) -> Result<(), Error> {
        self.remove(Tree::Pets, stub.id.as_str().as_bytes().to_vec());
        self.put(Tree::RemovedPets, stub.id.as_str().as_bytes(), stub)
    }

    /// Remembers a moment.
    pub fn put_mark(&mut self, name: &str, at: Timestamp) -> Result<(), Error> {
        self.put(Tree::Marks, name.as_bytes(), &at)
    }

    /// Forgets a moment.
    pub fn remove_mark(&mut self, name: &str) {
        self.remove(Tree::Marks, name.as_bytes().to_vec());
    }
}
