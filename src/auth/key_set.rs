//! A file with a JWK set (RFC 7517): the host application writes its present keys into it and this server reads it again when it has
//! changed. It never fetches keys from anywhere, and what a token says cannot make it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use super::Algorithm;
use super::public_key::{Flaw, KeyError, MAX_KEYS, PublicKey, read, unusable};

/// The keys of a file, as it was when it was last of use.
#[derive(Debug)]
pub struct KeySet {
    path: PathBuf,
    keys: RwLock<Arc<[NamedKey]>>,
    seen: Mutex<Option<Stamp>>,
}

/// A key and what tokens call it.
#[derive(Debug)]
pub(super) struct NamedKey {
    pub(super) id: Option<String>,
    pub(super) key: PublicKey,
}

/// Tells two states of the file apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: u64,
    size: u64,
    modified: Option<SystemTime>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// The members of RFC 7517 §4 and RFC 7518 §6 that matter here. `jku`, `x5u` and `x5c` do not: keys come from this file alone.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<Value>,
}

impl KeySet {
    /// Reads the file.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        // The stamp is the older of the two: a file that changes in between is read once more.
        let seen = stamp(path);
        let keys = load(path)?;
        Ok(Self {
            path: path.to_owned(),
            keys: RwLock::new(keys),
            seen: Mutex::new(seen),
        })
    }

    /// Reads the file again. One that is of no use leaves the keys as they are.
    pub fn reload(&self) -> Result<(), KeyError> {
        let seen = stamp(&self.path);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        let keys = load(&self.path)?;
        tracing::info!(path = %self.path.display(), keys = keys.len(), "token keys read");
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Reads the file again if it is another than at the last time. Blocks for as long as the disk takes.
    pub fn reload_if_changed(&self) -> Result<(), KeyError> {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if stamp(&self.path) == seen {
            return Ok(());
        }
        self.reload()
    }

    pub(super) fn keys(&self) -> Arc<[NamedKey]> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp {
        file: metadata.ino(),
        size: metadata.len(),
        modified: metadata.modified().ok(),
    })
}

fn load(path: &Path) -> Result<Arc<[NamedKey]>, KeyError> {
    parse(&read(path)?).map(Arc::from).map_err(unusable(path))
}

/// RFC 7517 §5: keys of kinds, curves and uses that are not known here are passed over. A set that leaves none, or one that holds what
/// should be nowhere but with the host, is an error.
fn parse(text: &str) -> Result<Vec<NamedKey>, String> {
    let document: Document = serde_json::from_str(text).map_err(|error| {
        format!("the file is no JWK set ({error}); it begins with {{\"keys\": [")
    })?;
    if document.keys.len() > MAX_KEYS {
        return Err(format!("there are more than {MAX_KEYS} keys"));
    }
    let mut keys = Vec::new();
    for value in document.keys {
        let Ok(jwk) = Jwk::deserialize(value) else {
            tracing::warn!("a token key is passed over: a member is missing or has the wrong type");
            continue;
        };
        let name = jwk.kid.clone().unwrap_or_else(|| "without kid".to_owned());
        if jwk.d.is_some() {
            return Err(format!(
                "key {name:?} is a private one (\"d\"), which belongs to the host alone"
            ));
        }
        match jwk.read() {
            Ok(key) => keys.push(NamedKey { id: jwk.kid, key }),
            Err(Unfit::Weak) => return Err(format!("key {name:?}: {}", Flaw::RsaSize)),
            Err(Unfit::Unknown(why)) => {
                tracing::warn!(kid = name, "a token key is passed over: {why}");
            }
        }
    }
    if keys.is_empty() {
        return Err("there is no RS256, ES256 or EdDSA key among them".to_owned());
    }
    Ok(keys)
}

enum Unfit {
    Weak,
    Unknown(&'static str),
}

impl Jwk {
    fn read(&self) -> Result<PublicKey, Unfit> {
        if self.r#use.as_deref().is_some_and(|r#use| r#use != "sig") {
            return Err(Unfit::Unknown("it is not for signatures"));
        }
        let verifies = |ops: &Vec<String>| ops.iter().any(|op| op == "verify");
        if !self.key_ops.as_ref().is_none_or(verifies) {
            return Err(Unfit::Unknown("it is not for verifying"));
        }
        let key = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => PublicKey::from_rsa(&bytes(self.n.as_ref())?, &bytes(self.e.as_ref())?),
            ("EC", Some("P-256")) => {
                PublicKey::from_p256(&bytes(self.x.as_ref())?, &bytes(self.y.as_ref())?)
            }
            ("OKP", Some("Ed25519")) => PublicKey::from_ed25519(&bytes(self.x.as_ref())?),
            ("oct", _) => {
                return Err(Unfit::Unknown("a secret belongs into --jwt-secret-file"));
            }
            _ => return Err(Unfit::Unknown("its kind or curve is not supported")),
        };
        let key = key.map_err(|flaw| match flaw {
            Flaw::RsaSize => Unfit::Weak,
            Flaw::Kind | Flaw::Damaged => Unfit::Unknown("it is damaged"),
        })?;
        // RFC 7517 §4.4: `alg` narrows what the key is for; it does not widen it.
        match &self.alg {
            Some(name) if Algorithm::from_name(name) != Some(key.algorithm()) => {
                Err(Unfit::Unknown("its algorithm is not supported"))
            }
            _ => Ok(key),
        }
    }
}

fn bytes(member: Option<&String>) -> Result<Vec<u8>, Unfit> {
    let decoded = member.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    decoded.ok_or(Unfit::Unknown("it is damaged"))
}
