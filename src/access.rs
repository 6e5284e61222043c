//! Who calls: from a token to a user. One check for REST and sockets (promise P13).

use crate::auth::{AuthError, Verifier};
use crate::chat::{self, Profile, Service};
use crate::id::UserId;

/// An authenticated user, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who it is.
    pub user: UserId,
    /// Display name, for the log.
    pub name: String,
    /// From when on the token is refused, in seconds since the epoch: its end and the leeway that is granted after it.
    pub expires_at: Option<u64>,
}

/// Why nobody was let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No token was given.
    #[error("Access denied. No token provided.")]
    Missing,
    /// The token is not one of ours.
    #[error("Invalid token.")]
    Invalid,
    /// The token was one of ours.
    #[error("Invalid token.")]
    Expired,
    /// The token is good and its user is not.
    #[error(transparent)]
    User(#[from] chat::Error),
}

impl Refusal {
    /// The stable name that clients may act on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "token_missing",
            Self::Invalid => "token_invalid",
            Self::Expired => "token_expired",
            Self::User(error) => error.code(),
        }
    }
}

/// Turns tokens into users.
#[derive(Debug)]
pub struct Access {
    verifier: Verifier,
    chat: Service,
}

impl Access {
    /// Tokens are checked by `verifier`; their users are let in by `chat`.
    pub fn new(verifier: Verifier, chat: Service) -> Self {
        Self { verifier, chat }
    }

    /// The user of a bare token.
    pub async fn identify(&self, token: Option<&str>) -> Result<Identity, Refusal> {
        let token = token
            .map(str::trim)
            .filter(|token| !token.is_empty())
            .ok_or(Refusal::Missing)?;
        let claims = self.verifier.verify(token).map_err(|error| match error {
            AuthError::Missing => Refusal::Missing,
            AuthError::Invalid => Refusal::Invalid,
            AuthError::Expired => Refusal::Expired,
        })?;
        let profile = Profile {
            id: claims.user_id,
            name: claims.name,
            email: claims.email,
            picture: claims.profile_picture,
            said_at: claims.issued_at,
        };
        let user = self.chat.admit(profile).await?;
        Ok(Identity {
            user: user.id,
            name: user.name,
            expires_at: claims
                .expires_at
                .map(|end| end.saturating_add(self.verifier.leeway())),
        })
    }
}
