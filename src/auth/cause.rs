//! Why exactly a token is refused, and what to do about it: for the host's log and for `token inspect`. The caller is told none of
//! it. What a token says of itself is quoted in part at most, and never the token.

use super::AuthError;

/// Longest piece of a token's content that is quoted, in characters.
const MAX_QUOTED: usize = 64;

/// A cause, in one line with its remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// There is none.
    #[error("there is no token")]
    Missing,
    /// Too long to be read.
    #[error("it has more than 8 KiB; sign fewer claims")]
    TooLong,
    /// Not three parts, or a part that is not what it should be.
    #[error("it is no JSON Web Token: {0}")]
    Malformed(&'static str),
    /// `alg` is missing or none that is known, such as `none`.
    #[error("its algorithm (alg) is {0}; sign it with HS256, RS256, ES256 or EdDSA")]
    Algorithm(String),
    /// There is no key for an algorithm that is known.
    #[error(
        "it is signed with {algorithm}, for which there is no {key} here; sign it with another, or give the server that key"
    )]
    NoKey {
        /// As in the header.
        algorithm: &'static str,
        /// What is missing.
        key: &'static str,
    },
    /// Extensions that must be understood.
    #[error("its header asks for extensions (crit), and none is understood; leave them out")]
    Critical,
    /// `kid` is no text.
    #[error("its key's name (kid) is no text")]
    KeyName,
    /// No key of ours has signed it.
    #[error(
        "its signature is wrong: it was signed with another {0} than this server has, or changed afterwards"
    )]
    Signature(&'static str),
    /// It was valid once.
    #[error("it has expired (exp is past); get a new one")]
    Expired,
    /// It has no `exp`.
    #[error(
        "it never ends (no exp); sign it with an end, or start the server with --allow-tokens-without-exp"
    )]
    NoEnd,
    /// A time that is none.
    #[error("its claim {0} is no time; give whole seconds since 1970, as a number")]
    Time(&'static str),
    /// Not yet.
    #[error("it is not valid yet (nbf is in the future); compare the clocks of both machines")]
    NotYet,
    /// It names nobody.
    #[error("it says of nobody who they are; sign it with a claim id, _id, userId or sub")]
    NoId,
    /// The id is not text.
    #[error("its user id is {0}, and an id is text; sign it as a string, such as \"42\"")]
    IdKind(String),
    /// The id has a form that no id has.
    #[error(
        "its user id {0} cannot be one; an id has 1 to 64 of the characters A-Z a-z 0-9 _ - . : @"
    )]
    IdForm(String),
}

impl From<&Cause> for AuthError {
    fn from(cause: &Cause) -> Self {
        match cause {
            Cause::Missing => Self::Missing,
            Cause::Expired => Self::Expired,
            _ => Self::Invalid,
        }
    }
}

/// A value of a token as it is quoted: short, and without characters that a terminal or a log would act on.
pub(super) fn quoted(value: &serde_json::Value) -> String {
    let text = value.to_string();
    let shown: String = text.chars().take(MAX_QUOTED).collect();
    let rest = if shown.len() < text.len() { "…" } else { "" };
    format!(
        "{}{rest}",
        shown.escape_debug().to_string().replace("\\\"", "\"")
    )
}
