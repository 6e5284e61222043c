//! Tokens: who the host application says the caller is (promise P13, after RFC 8725). It owns what a token must look
//! like and which keys sign it; it does not know the users, REST or sockets.

mod algorithm;
mod cause;
mod key_set;
#[cfg(test)]
mod key_tests;
mod object;
mod peek;
mod public_key;
mod secret;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, crypto};
use serde::Serialize;
use serde_json::Value;

use self::algorithm::Algorithm;
pub use self::cause::Cause;
use self::cause::quoted;
pub use self::key_set::KeySet;
use self::object::Object;
pub use self::peek::peek;
pub use self::public_key::{KeyError, PublicKey};
pub use self::secret::{Secret, SecretError, Strength};
use crate::id::UserId;

/// The algorithm of secrets.
const SHARED: jsonwebtoken::Algorithm = jsonwebtoken::Algorithm::HS256;
/// Longer tokens are refused unread, in bytes.
pub const MAX_TOKEN: usize = 8 << 10;
/// Difference that is granted between the host's clock and ours.
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(2);
/// The largest whole number that every JSON implementation holds; a later time is nonsense.
const MAX_TIME: u64 = 1 << 53;

/// Why a caller is not let in. What exactly was wrong ([`Cause`]) is not told: it would help only an attacker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is no token.
    #[error("no token")]
    Missing,
    /// It is not a token, not signed by any of our keys, not valid yet, or says nothing of use.
    #[error("invalid token")]
    Invalid,
    /// It was valid once.
    #[error("expired token")]
    Expired,
}

/// What a valid token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The first of the claims `id`, `_id`, `userId`, `sub` that is there.
    pub user_id: UserId,
    /// Claim `name`.
    pub name: Option<String>,
    /// Claim `email`.
    pub email: Option<String>,
    /// The first of the claims `profilePicture`, `profileImage`, `picture` that is there.
    pub profile_picture: Option<String>,
    /// Claim `iat`, in seconds since 1970, where it is a time.
    pub issued_at: Option<u64>,
    /// When it ends, in seconds since 1970; a session ends with its token.
    pub expires_at: Option<u64>,
}

/// Whether a token must say when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// A token without `exp` is refused.
    Required,
    /// It is accepted, and never ends.
    Optional,
}

/// The one check for REST and sockets.
pub struct Verifier {
    shared: Vec<DecodingKey>,
    secrets: Vec<Secret>,
    public: Vec<PublicKey>,
    key_set: Option<Arc<KeySet>>,
    expiry: Expiry,
    leeway: u64,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("secrets", &self.secrets.len())
            .field("public", &self.public)
            .field("key_set", &self.key_set)
            .finish_non_exhaustive()
    }
}

impl Verifier {
    /// The most by which the clocks of the host and of this server may differ.
    pub const MAX_LEEWAY: Duration = Duration::from_secs(5);

    /// A check against `secrets`, tried in order. `leeway`, at most [`Verifier::MAX_LEEWAY`] and in whole seconds, is
    /// granted after `exp` and before `nbf`.
    pub fn new(secrets: Vec<Secret>, expiry: Expiry, leeway: Duration) -> Self {
        let key = |secret: &Secret| DecodingKey::from_secret(secret.bytes());
        Self {
            shared: secrets.iter().map(key).collect(),
            secrets,
            public: Vec::new(),
            key_set: None,
            expiry,
            leeway: leeway.min(Self::MAX_LEEWAY).as_secs(),
        }
    }

    /// Also accepts what `keys` have signed.
    #[must_use]
    pub fn with_public_keys(mut self, keys: Vec<PublicKey>) -> Self {
        self.public = keys;
        self
    }

    /// Also accepts what the keys have signed that are in `key_set` at the time.
    #[must_use]
    pub fn with_key_set(mut self, key_set: Option<Arc<KeySet>>) -> Self {
        self.key_set = key_set;
        self
    }

    /// Seconds granted after `exp` and before `nbf`.
    pub fn leeway(&self) -> u64 {
        self.leeway
    }

    /// Checks a token as of now.
    pub fn verify(&self, token: &str) -> Result<Claims, AuthError> {
        self.verify_at(token, now())
    }

    /// Checks a token as of `now`, in seconds since 1970.
    pub fn verify_at(&self, token: &str, now: u64) -> Result<Claims, AuthError> {
        let examined = self.examine_at(token, now);
        examined.map_err(|cause| AuthError::from(&cause))
    }

    /// Checks a token as of now, and says why it is refused: not for the ears of who brought it.
    pub fn examine(&self, token: &str) -> Result<Claims, Cause> {
        self.examine_at(token, now())
    }

    fn examine_at(&self, token: &str, now: u64) -> Result<Claims, Cause> {
        if token.is_empty() {
            return Err(Cause::Missing);
        }
        if token.len() > MAX_TOKEN {
            return Err(Cause::TooLong);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Cause::Malformed("it has not three parts with dots between"));
        };
        let header_object = decode_object(header, "its header is no object of JSON in base64url")?;
        let claimed = Claimed::read(&header_object)?;
        let message = &token.as_bytes()[..header.len() + 1 + payload.len()];
        if !self.is_signed(message, signature, &claimed) {
            return Err(self.why_unsigned(claimed.algorithm));
        }
        let claims = decode_object(payload, "its claims are no object of JSON in base64url")?;
        self.read_claims(&claims, now)
    }

    /// Signs and verifies once with each secret: a crypto backend that is missing shows at the start, not at the first
    /// user's token.
    pub fn self_test(&self) -> Result<(), AuthError> {
        for secret in &self.secrets {
            let token = mint(
                secret,
                "self-test",
                None,
                None,
                None,
                Duration::from_mins(1),
            )?;
            self.verify(&token)?;
            if self.verify(&format!("{token}A")).is_ok() {
                return Err(AuthError::Invalid);
            }
        }
        Ok(())
    }

    /// Tries the keys that are for this algorithm, and no others. A key of the set that has a name is tried only on tokens that
    /// call it or call none.
    fn is_signed(&self, message: &[u8], signature: &str, claimed: &Claimed) -> bool {
        if claimed.algorithm == Algorithm::Hs256 {
            let signs = |key| crypto::verify(signature, message, key, SHARED).unwrap_or(false);
            return self.shared.iter().any(signs);
        }
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else {
            return false;
        };
        let signs = |key: &PublicKey| {
            key.algorithm() == claimed.algorithm && key.has_signed(message, &signature)
        };
        let is_meant = |id: &Option<String>| match (id, &claimed.key) {
            (Some(id), Some(asked)) => id == asked,
            _ => true,
        };
        let set = self.key_set.as_ref().map(|set| set.keys());
        let mut named = set.iter().flat_map(|keys| keys.iter());
        self.public.iter().any(signs) || named.any(|named| is_meant(&named.id) && signs(&named.key))
    }

    /// Whether a key is missing or none of them fits.
    fn why_unsigned(&self, algorithm: Algorithm) -> Cause {
        let is_shared = algorithm == Algorithm::Hs256;
        let key = if is_shared { "secret" } else { "public key" };
        let has_one = if is_shared {
            !self.shared.is_empty()
        } else {
            let fits = |key: &PublicKey| key.algorithm() == algorithm;
            let set = self.key_set.as_ref().map(|set| set.keys());
            let mut named = set.iter().flat_map(|keys| keys.iter());
            self.public.iter().any(fits) || named.any(|named| fits(&named.key))
        };
        if has_one {
            return Cause::Signature(key);
        }
        Cause::NoKey {
            algorithm: algorithm.as_str(),
            key,
        }
    }

    fn read_claims(&self, claims: &Object, now: u64) -> Result<Claims, Cause> {
        let expires_at = time_claim(claims, "exp")?;
        match expires_at {
            Some(end) if now >= end.saturating_add(self.leeway) => return Err(Cause::Expired),
            None if self.expiry == Expiry::Required => return Err(Cause::NoEnd),
            _ => {}
        }
        if time_claim(claims, "nbf")?.is_some_and(|start| now.saturating_add(self.leeway) < start) {
            return Err(Cause::NotYet);
        }
        let id = first_of(claims, &["id", "_id", "userId", "sub"]).ok_or(Cause::NoId)?;
        let id_text = id.as_str().ok_or_else(|| Cause::IdKind(quoted(id)))?;
        let text = |names: &[&str]| {
            let text = first_of(claims, names)?.as_str()?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        Ok(Claims {
            user_id: id_text.parse().map_err(|_| Cause::IdForm(quoted(id)))?,
            name: text(&["name"]),
            email: text(&["email"]),
            profile_picture: text(&["profilePicture", "profileImage", "picture"]),
            issued_at: time_claim(claims, "iat").ok().flatten(),
            expires_at,
        })
    }
}

/// What a token's header says of its signature, none of which is believed before a key of ours has confirmed it.
struct Claimed {
    algorithm: Algorithm,
    key: Option<String>,
}

impl Claimed {
    /// RFC 8725 §3.1: the algorithm is held against the list before anything is verified. `kid` chooses among keys that are ours
    /// already; `jku`, `jwk` and `x5*` are not looked at: no token brings its own key.
    fn read(header: &Object) -> Result<Self, Cause> {
        let name = header.get("alg");
        let algorithm = name
            .and_then(Value::as_str)
            .and_then(Algorithm::from_name)
            .ok_or_else(|| Cause::Algorithm(name.map_or("missing".to_owned(), quoted)))?;
        // RFC 7515 §4.1.11: if any of the listed extensions is not understood, the JWS is invalid. None is understood here.
        if header.get("crit").is_some() {
            return Err(Cause::Critical);
        }
        let key = match header.get("kid") {
            None => None,
            Some(Value::String(key)) => Some(key.clone()),
            // RFC 7515 §4.1.4: its value must be a string.
            Some(_) => return Err(Cause::KeyName),
        };
        Ok(Self { algorithm, key })
    }
}

/// `otherwise` is what is wrong if it is none.
fn decode_object(part: &str, otherwise: &'static str) -> Result<Object, Cause> {
    let bytes = URL_SAFE_NO_PAD.decode(part);
    let bytes = bytes.map_err(|_| Cause::Malformed(otherwise))?;
    serde_json::from_slice(&bytes).map_err(|_| Cause::Malformed(otherwise))
}

/// The first claim that is there and not null; the later ones do not stand in for one that is of no use.
fn first_of<'a>(claims: &'a Object, names: &[&str]) -> Option<&'a Value> {
    let mut present = names.iter().filter_map(|name| claims.get(name));
    present.find(|value| !value.is_null())
}

/// RFC 7519 §2: a `NumericDate` is a number of seconds, perhaps with a fraction.
fn time_claim(claims: &Object, name: &'static str) -> Result<Option<u64>, Cause> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the range is checked before, and within it every whole number is exact"
    )]
    let seconds = match (value.as_u64(), value.as_f64()) {
        (Some(seconds), _) => seconds,
        (None, Some(seconds)) if (0.0..MAX_TIME as f64).contains(&seconds) => seconds as u64,
        _ => return Err(Cause::Time(name)),
    };
    if seconds > MAX_TIME {
        return Err(Cause::Time(name));
    }
    Ok(Some(seconds))
}

/// The token in the value of an `Authorization` header, if its scheme is `Bearer` in any case.
pub fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start())
}

/// Signs a token as a host application would; refuses an id that [`Verifier::verify`] would refuse.
pub fn mint(
    secret: &Secret,
    id: &str,
    name: Option<&str>,
    email: Option<&str>,
    picture: Option<&str>,
    ttl: Duration,
) -> Result<String, AuthError> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Minted<'a> {
        id: &'a UserId,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        email: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        profile_picture: Option<&'a str>,
        iat: u64,
        exp: u64,
    }
    let now = now();
    let claims = Minted {
        id: &id.parse().map_err(|_| AuthError::Invalid)?,
        name,
        email,
        profile_picture: picture,
        iat: now,
        exp: now.saturating_add(ttl.as_secs()).min(MAX_TIME),
    };
    let key = EncodingKey::from_secret(secret.bytes());
    let token = jsonwebtoken::encode(&Header::new(SHARED), &claims, &key);
    match token {
        Ok(token) if token.len() <= MAX_TOKEN => Ok(token),
        _ => Err(AuthError::Invalid),
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    // With a clock before 1970 nothing is valid, rather than everything.
    since.map_or(u64::MAX, |since| since.as_secs())
}
