//! The key that opens the admin API.

/// The key that the host application presents. Never shown, compared in constant time.
pub struct AdminKey(Vec<u8>);

impl AdminKey {
    /// A key; `None` for an empty one. A short one is warned of.
    pub fn new(key: &str) -> Option<Self> {
        if key.len() < 16 {
            tracing::warn!(
                "the admin key has fewer than 16 bytes; take a longer one (openssl rand -hex 32)"
            );
        }
        (!key.is_empty()).then(|| Self(key.as_bytes().to_vec()))
    }

    pub(super) fn is(&self, given: &str) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, given.as_bytes()).is_ok()
    }
}

impl std::fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminKey")
    }
}
