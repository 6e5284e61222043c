//! Every way the API says no: status, stable code, sentence. The table that clients are told of.

use std::borrow::Cow;

use hyper::StatusCode;

use crate::access::Refusal;
use crate::backend;
use crate::chat;
use crate::disposal::Unfinished;
use crate::guard::Wait;

/// An answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status.
    pub status: StatusCode,
    /// Stable name, snake case.
    pub code: &'static str,
    /// Sentence for a person.
    pub message: Cow<'static, str>,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// `Allow`.
    pub allow: Option<&'static str>,
}

impl Failure {
    /// A failure without extra headers.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
            allow: None,
        }
    }

    /// 404 for a path nobody knows.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found")
    }

    /// 405 for a known path.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let failure = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "Method not allowed",
        );
        Self {
            allow: Some(allow),
            ..failure
        }
    }

    /// 500: a bug of ours, without its details.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "Internal server error",
        )
    }

    /// 503 while the server is stopping or full.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        let failure = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message);
        Self {
            retry_after: Some(1),
            ..failure
        }
    }

    /// 400 `invalid_request`.
    pub fn invalid_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    }
}

impl From<chat::Error> for Failure {
    fn from(error: chat::Error) -> Self {
        use chat::Error as E;
        let status = match &error {
            E::InvalidRequest(_)
            | E::WrongField(_)
            | E::InvalidId(_)
            | E::ContentEmpty
            | E::ContentTooLong
            | E::InvalidMessageType
            | E::InvalidMedia
            | E::InvalidParent
            | E::SelfChat
            | E::NotPetOwner => StatusCode::BAD_REQUEST,
            E::CallerUnknown | E::CallerBanned => StatusCode::UNAUTHORIZED,
            E::AccessDenied | E::ChatBlocked | E::NotSender => StatusCode::FORBIDDEN,
            E::UserNotFound | E::PetNotFound | E::MessageNotFound | E::ReportNotFound => {
                StatusCode::NOT_FOUND
            }
            E::Conflict | E::TooManyBlocks => StatusCode::CONFLICT,
            E::RateLimited(_) | E::DuplicateMessage(_) | E::TooManyChats(_) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            E::QuotaExceeded => StatusCode::PAYLOAD_TOO_LARGE,
            E::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
            E::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self {
            retry_after: error.retry_after(),
            ..Self::new(status, error.code(), error.to_string())
        }
    }
}

impl From<Wait> for Failure {
    fn from(wait: Wait) -> Self {
        chat::Error::from(wait).into()
    }
}

impl From<Unfinished> for Failure {
    fn from(unfinished: Unfinished) -> Self {
        match unfinished {
            Unfinished::Store(error) => error.into(),
            // Somebody has to look after the directory first.
            Unfinished::FilesStay(_) => Self {
                retry_after: Some(60),
                ..Self::unavailable(unfinished.to_string())
            },
        }
    }
}

impl From<backend::Refusal> for Failure {
    fn from(refusal: backend::Refusal) -> Self {
        match refusal {
            backend::Refusal::RateLimited(seconds) => chat::Error::RateLimited(seconds).into(),
            backend::Refusal::Unavailable(seconds) => Self {
                retry_after: Some(seconds),
                ..Self::unavailable(refusal.to_string())
            },
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::User(error) => error.into(),
            Refusal::RateLimited(seconds) => chat::Error::RateLimited(seconds).into(),
            Refusal::Unavailable(seconds) => Self {
                retry_after: Some(seconds),
                ..Self::unavailable(refusal.to_string())
            },
            Refusal::Missing | Refusal::Invalid | Refusal::Expired => Self::new(
                StatusCode::UNAUTHORIZED,
                refusal.code(),
                refusal.to_string(),
            ),
        }
    }
}
