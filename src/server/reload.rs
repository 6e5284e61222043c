//! The files that are read again while the server runs, when it is told to. What is in them is others' business.

use std::sync::Arc;

use super::tls::Certificates;
use crate::auth::KeySet;

/// The files that this server reads again.
#[derive(Debug, Clone)]
pub struct Reload {
    keys: Option<Arc<KeySet>>,
    certificates: Option<Arc<Certificates>>,
}

impl Reload {
    pub(super) fn new(keys: Option<Arc<KeySet>>, certificates: Option<Arc<Certificates>>) -> Self {
        Self { keys, certificates }
    }

    /// Whether there is no such file.
    pub fn is_empty(&self) -> bool {
        self.keys.is_none() && self.certificates.is_none()
    }

    /// Reads them all. One that is of no use leaves what was read before. Blocks for as long as the disk takes.
    pub fn run(&self) {
        if let Some(Err(error)) = self.keys.as_ref().map(|keys| keys.reload()) {
            tracing::error!(%error, "the token keys stay as they were");
        }
        if let Some(Err(error)) = self.certificates.as_ref().map(|pair| pair.reload()) {
            tracing::error!(%error, "the certificate stays as it was");
        }
    }
}
