//! Typed tables over raw rows: one reading side for everybody, one writing side for the writer's jobs.
//!
//! [`Tables`] wraps a source of raw rows. Readers get [`super::Snapshot`], the index under what was committed and waits for it; who
//! reads a stopped server's data ([`super::Reading`]) gets an index alone; a job on the writer thread gets a
//! [`super::Transaction`], which also sees what the jobs before it in its group have changed. A rule that only reads is therefore
//! written once, for any [`Source`]. The tables themselves are in the files beside this one.

use std::ops::Range;

use serde::{Serialize, de::DeserializeOwned};

use super::codec;
use super::error::Error;
use super::keys::Tree;

/// A stored key or value, cheap to clone.
pub(crate) type Bytes = sled::IVec;
/// One row of a range, key first.
pub(crate) type Row = Result<(Bytes, Bytes), Error>;

/// Raw rows in key order. Sealed: only this module's types are sources.
#[expect(
    private_interfaces,
    reason = "callers name the trait in bounds and never call it"
)]
pub trait Source {
    #[doc(hidden)]
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Bytes>, Error>;
    #[doc(hidden)]
    fn range(&self, tree: Tree, range: Range<Vec<u8>>) -> Box<dyn Iterator<Item = Row> + '_>;
}

/// A source that can also be written.
#[expect(
    private_interfaces,
    reason = "callers name the trait in bounds and never call it"
)]
pub trait Sink: Source {
    #[doc(hidden)]
    fn set(&mut self, tree: Tree, key: Vec<u8>, value: Option<Bytes>);
}

/// The typed tables of one source.
#[derive(Debug)]
pub struct Tables<S>(pub(crate) S);

impl<S: Source> Tables<S> {
    pub(crate) fn record<T: DeserializeOwned>(
        &self,
        tree: Tree,
        key: &[u8],
    ) -> Result<Option<T>, Error> {
        self.0
            .get(tree, key)?
            .map(|bytes| codec::decode(tree, &bytes))
            .transpose()
    }

    pub(crate) fn records<T: DeserializeOwned>(
        &self,
        tree: Tree,
        range: Range<Vec<u8>>,
    ) -> impl Iterator<Item = Result<T, Error>> {
        let rows = self.0.range(tree, range);
        rows.map(move |row| row.and_then(|(_, value)| codec::decode(tree, &value)))
    }
}

impl<S: Sink> Tables<S> {
    pub(crate) fn put<T: Serialize>(
        &mut self,
        tree: Tree,
        key: &[u8],
        record: &T,
    ) -> Result<(), Error> {
        let bytes = codec::encode(tree, record)?;
        self.0.set(tree, key.to_vec(), Some(bytes.into()));
        Ok(())
    }

    pub(crate) fn put_raw(&mut self, tree: Tree, key: Vec<u8>, value: &[u8]) {
        self.0.set(tree, key, Some(value.into()));
    }

    pub(crate) fn remove(&mut self, tree: Tree, key: Vec<u8>) {
        self.0.set(tree, key, None);
    }
}
