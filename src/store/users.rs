//! The users and pets that the host application has told us about.

use super::error::Error;
use super::keys::Tree;
use super::tables::{Sink, Source, Tables};
use crate::id::{PetId, UserId};
use crate::model::{Pet, User};

impl<S: Source> Tables<S> {
    /// The user with this id.
    pub fn user(&self, id: &UserId) -> Result<Option<User>, Error> {
        self.record(Tree::Users, id.as_str().as_bytes())
    }

    /// The pet with this id.
    pub fn pet(&self, id: &PetId) -> Result<Option<Pet>, Error> {
        self.record(Tree::Pets, id.as_str().as_bytes())
    }
}

impl<S: Source> Tables<S> {
    /// Every user, in the order of their ids.
    pub fn users(&self) -> impl Iterator<Item = Result<User, Error>> {
        self.records(Tree::Users)
    }

    /// Every pet, in the order of their ids.
    pub fn pets(&self) -> impl Iterator<Item = Result<Pet, Error>> {
        self.records(Tree::Pets)
    }
}

impl<S: Sink> Tables<S> {
    /// Creates or replaces a user.
    pub fn put_user(&mut self, user: &User) -> Result<(), Error> {
        self.put(Tree::Users, user.id.as_str().as_bytes(), user)
    }

    /// Creates or replaces a pet.
    pub fn put_pet(&mut self, pet: &Pet) -> Result<(), Error> {
        self.put(Tree::Pets, pet.id.as_str().as_bytes(), pet)
    }
}
