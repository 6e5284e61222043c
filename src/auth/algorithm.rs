//! The algorithms that are accepted, by the names of RFC 7518 and RFC 8037. `none` has no name here.

/// How a token may be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// With a secret that the host shares with us.
    Hs256,
    /// With an RSA key.
    Rs256,
    /// With a key on the curve P-256.
    Es256,
    /// With an Ed25519 key.
    EdDsa,
}

impl Algorithm {
    /// RFC 7515 §4.1.1: a case-sensitive string.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            // RFC 9864 §2.2 names the curve and deprecates the first.
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}
