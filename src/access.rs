//! Who calls: from a token to a user. One check for REST and sockets (promise P13).

use std::net::IpAddr;
use std::sync::Arc;

use crate::auth::{AuthError, Claims, Verifier};
use crate::backend::{Backend, Word};
use crate::chat::{self, Profile, Service};
use crate::guard::{Guard, Wait};
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
    /// The token is good; whether its user is, the backend does not say at the moment. In so many seconds it may.
    #[error("The marketplace does not answer at the moment; try again")]
    Unavailable(u64),
    /// Too many tokens that were no good have come from there. In so many seconds one is looked at again.
    #[error("Too many requests. Try again in {0} s")]
    RateLimited(u64),
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
            Self::Unavailable(_) => "unavailable",
            Self::RateLimited(_) => "rate_limited",
            Self::User(error) => error.code(),
        }
    }

    /// Whether it would be another with another token: what is 401 over REST.
    fn is_of_the_token(&self) -> bool {
        match self {
            Self::Missing | Self::Invalid => true,
            Self::User(error) => {
                matches!(
                    error,
                    chat::Error::CallerUnknown | chat::Error::CallerBanned
                )
            }
            // Once it was good, and its bearer has to be told to get another.
            Self::Expired | Self::Unavailable(_) | Self::RateLimited(_) => false,
        }
    }

    /// In how many seconds it may be otherwise, where that is known.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Unavailable(seconds) | Self::RateLimited(seconds) => Some(*seconds),
            Self::User(error) => error.retry_after(),
            Self::Missing | Self::Invalid | Self::Expired => None,
        }
    }
}

/// Turns tokens into users.
#[derive(Debug)]
pub struct Access {
    verifier: Verifier,
    chat: Service,
    backend: Option<Arc<Backend>>,
    guard: Arc<Guard>,
}

impl Access {
    /// Tokens are checked by `verifier`; their users are let in by `chat`, which `backend` may have told of them first. `guard` counts
    /// those that are not.
    pub fn new(
        verifier: Verifier,
        chat: Service,
        backend: Option<Arc<Backend>>,
        guard: Arc<Guard>,
    ) -> Self {
        Self {
            verifier,
            chat,
            backend,
            guard,
        }
    }

    /// The user of a bare token that came from `address`. Who is refused is counted.
    pub async fn identify(
        &self,
        token: Option<&str>,
        address: Option<IpAddr>,
    ) -> Result<Identity, Refusal> {
        match self.judge(token).await {
            Err(refusal) => Err(self.counted(refusal, address)),
            identity => identity,
        }
    }

    /// The refusal, or in its place that there were too many. Only what is wrong with the token or its user counts: whom a backend keeps
    /// waiting, or a full disk, has done nothing wrong.
    pub fn counted(&self, refusal: Refusal, address: Option<IpAddr>) -> Refusal {
        if !refusal.is_of_the_token() {
            return refusal;
        }
        match self.guard.refused_token(address) {
            Ok(()) => refusal,
            Err(Wait(seconds)) => Refusal::RateLimited(seconds),
        }
    }

    /// As [`Access::identify`], and counts nothing: for where the same token is looked at again at once.
    pub async fn judge(&self, token: Option<&str>) -> Result<Identity, Refusal> {
        let token = token
            .map(str::trim)
            .filter(|token| !token.is_empty())
            .ok_or(Refusal::Missing)?;
        let claims = self.verifier.examine(token).map_err(|cause| {
            // For the host alone: whoever brought it learns nothing of it.
            tracing::debug!(%cause, "token refused");
            match AuthError::from(&cause) {
                AuthError::Missing => Refusal::Missing,
                AuthError::Invalid => Refusal::Invalid,
                AuthError::Expired => Refusal::Expired,
            }
        })?;
        let told = match &self.backend {
            Some(backend) => {
                // Who is not welcome is told so at once, and their token goes nowhere.
                self.chat.check_welcome(&claims.user_id).await?;
                backend.user(&claims.user_id, token).await
            }
            None => Ok(Word::None),
        };
        let expires_at = claims.expires_at;
        let profile = self.profile(claims, told);
        let user = match (self.chat.admit(profile).await, told) {
            // 401 would be final: an app takes it for the end of the session.
            (Err(chat::Error::CallerUnknown), Err(wait)) => return Err(Refusal::Unavailable(wait)),
            (admitted, _) => admitted?,
        };
        Ok(Identity {
            user: user.id,
            name: user.name,
            expires_at: expires_at.map(|end| end.saturating_add(self.verifier.leeway())),
        })
    }

    /// What the token says of its user, unless the backend has said it.
    fn profile(&self, claims: Claims, told: Result<Word, u64>) -> Profile {
        let is_told = told == Ok(Word::Given);
        let has_backend = self
            .backend
            .as_ref()
            .is_some_and(|one| one.tells_of_users());
        Profile {
            id: claims.user_id,
            name: claims.name.filter(|_| !is_told),
            email: claims.email.filter(|_| !is_told),
            picture: claims.profile_picture.filter(|_| !is_told),
            // Where a backend tells, a token that does not say when it was signed is older than anything told.
            said_at: claims.issued_at.or(has_backend.then_some(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wrong_with_a_token_or_its_user_counts_as_a_bad_one() {
        for bad in [
            Refusal::Missing,
            Refusal::Invalid,
            Refusal::User(chat::Error::CallerUnknown),
            Refusal::User(chat::Error::CallerBanned),
        ] {
            assert!(bad.is_of_the_token(), "{bad:?}");
        }
        for ours in [
            Refusal::Expired,
            Refusal::Unavailable(1),
            Refusal::RateLimited(1),
            Refusal::User(chat::Error::StorageFull),
            Refusal::User(chat::Error::Unavailable),
            Refusal::User(chat::Error::AccessDenied),
        ] {
            assert!(!ours.is_of_the_token(), "{ours:?}");
        }
    }
}
