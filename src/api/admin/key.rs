//! The key that opens the admin API.

/// The key that the host application presents. Never shown, compared in constant time.
pub struct AdminKey(Vec<u8>);

/// A shorter key can be guessed, in bytes.
const SHORT: usize = 16;

impl AdminKey {
    /// A key; `None` for an empty one.
    pub fn new(key: &str) -> Option<Self> {
        (!key.is_empty()).then(|| Self(key.as_bytes().to_vec()))
    }

    /// Whether it is to be warned of.
    pub fn is_short(&self) -> bool {
        self.0.len() < SHORT
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
