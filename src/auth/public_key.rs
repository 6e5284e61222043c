//! Public keys of the host application, with which it signs tokens that this server can check and not make: where they come from, what
//! each of them is for, and that none is too weak. It knows nothing of tokens.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
    RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Algorithm;

/// RFC 7518 §3.3: a key of size 2048 bits or larger must be used with RS256. The upper end bounds what one check costs.
static RS256: &RsaParameters = &RSA_PKCS1_2048_8192_SHA256;
/// Larger files are no list of keys, in bytes.
pub(super) const MAX_FILE: u64 = 1 << 20;
/// More keys than any rotation needs; each may be tried on each token.
pub(super) const MAX_KEYS: usize = 64;

/// A key and the one algorithm that it is for: the key decides that, never the token.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    key: ParsedPublicKey,
}

/// Why there are no public keys. Each displays as one line that names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file could not be read.
    #[error("cannot read the keys in {}: {source}; check the file's owner and mode", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// What is in the file cannot be used.
    #[error("the keys in {} cannot be used: {reason}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with which key, and what to do.
        reason: String,
    },
}

/// Why one key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("an RSA key has fewer than 2048 bits or more than 8192; make a new one")]
    RsaSize,
    #[error("a key is neither RSA nor ECDSA on P-256 nor Ed25519")]
    Kind,
    #[error("a key is damaged")]
    Damaged,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.algorithm.as_str())
    }
}

impl PublicKey {
    /// The keys in PEM files, in order.
    pub fn load(files: &[PathBuf]) -> Result<Vec<Self>, KeyError> {
        let mut keys = Vec::new();
        for path in files {
            let text = read(path)?;
            keys.extend(Self::from_pem(&text).map_err(unusable(path))?);
            if keys.len() > MAX_KEYS {
                return Err(unusable(path)(format!("more than {MAX_KEYS} public keys")));
            }
        }
        Ok(keys)
    }

    /// The keys in a text of PEM blocks: at least one, and nothing else.
    pub fn from_pem(text: &str) -> Result<Vec<Self>, String> {
        let mut keys = Vec::new();
        for (label, der) in pem_blocks(text)? {
            match label {
                "PUBLIC KEY" | "RSA PUBLIC KEY" => {
                    keys.push(Self::from_der(&der).map_err(|flaw| flaw.to_string())?);
                }
                "CERTIFICATE" => {
                    return Err(
                        "a certificate is no public key; take the key out of it (openssl x509 -pubkey -noout -in FILE)".into(),
                    );
                }
                private if private.ends_with("PRIVATE KEY") => {
                    return Err(
                        "there is a private key, which belongs to the host alone; give the public one (openssl pkey -pubout -in FILE)"
                            .into(),
                    );
                }
                other => {
                    return Err(format!(
                        "there is a block named {other:?} where PUBLIC KEY should be"
                    ));
                }
            }
        }
        if keys.is_empty() {
            return Err(
                "there is no PEM block; a public key begins with -----BEGIN PUBLIC KEY-----".into(),
            );
        }
        Ok(keys)
    }

    /// A key in the form of RFC 5280 (`SubjectPublicKeyInfo`) or, for RSA, of RFC 8017.
    fn from_der(der: &[u8]) -> Result<Self, Flaw> {
        // The parsers below also take the bare bytes of a key, which say nothing of its kind; both forms are sequences.
        if der.first() != Some(&0x30) {
            return Err(Flaw::Damaged);
        }
        if let Ok(key) = ParsedPublicKey::new(RS256, der) {
            return Self::of_rsa(key);
        }
        if let Ok(key) = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, der) {
            return Ok(Self::of(Algorithm::Es256, key));
        }
        match ParsedPublicKey::new(&ED25519, der) {
            Ok(key) => Ok(Self::of(Algorithm::EdDsa, key)),
            Err(_) => Err(Flaw::Kind),
        }
    }

    /// RFC 7518 §6.3: modulus and exponent, most significant byte first.
    pub(super) fn from_rsa(n: &[u8], e: &[u8]) -> Result<Self, Flaw> {
        let components = RsaPublicKeyComponents { n, e };
        let key = components.to_parsed_public_key(RS256);
        Self::of_rsa(key.map_err(|_| Flaw::Damaged)?)
    }

    /// RFC 7518 §6.2: a point on P-256, 32 bytes each way.
    pub(super) fn from_p256(x: &[u8], y: &[u8]) -> Result<Self, Flaw> {
        if x.len() != 32 || y.len() != 32 {
            return Err(Flaw::Damaged);
        }
        let point = [&[4], x, y].concat();
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        Ok(Self::of(Algorithm::Es256, key.map_err(|_| Flaw::Damaged)?))
    }

    /// RFC 8037 §2: 32 bytes.
    pub(super) fn from_ed25519(x: &[u8]) -> Result<Self, Flaw> {
        if x.len() != 32 {
            return Err(Flaw::Damaged);
        }
        let key = ParsedPublicKey::new(&ED25519, x);
        Ok(Self::of(Algorithm::EdDsa, key.map_err(|_| Flaw::Damaged)?))
    }

    /// The size is looked at only when a signature is checked, unless it is asked for: here, so that a weak key shows at the start.
    fn of_rsa(key: ParsedPublicKey) -> Result<Self, Flaw> {
        let der = key.as_der().map_err(|_| Flaw::Damaged)?;
        match PublicEncryptingKey::from_der(der.as_ref()) {
            Ok(sized) if (2048..=8192).contains(&sized.key_size_bits()) => {
                Ok(Self::of(Algorithm::Rs256, key))
            }
            _ => Err(Flaw::RsaSize),
        }
    }

    fn of(algorithm: Algorithm, key: ParsedPublicKey) -> Self {
        Self { algorithm, key }
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}

pub(super) fn read(path: &Path) -> Result<String, KeyError> {
    let failed = |source| KeyError::Io {
        path: path.to_owned(),
        source,
    };
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > MAX_FILE {
        return Err(unusable(path)(format!(
            "the file has more than {MAX_FILE} bytes"
        )));
    }
    fs::read_to_string(path).map_err(failed)
}

pub(super) fn unusable(path: &Path) -> impl Fn(String) -> KeyError {
    move |reason| KeyError::Unusable {
        path: path.to_owned(),
        reason,
    }
}

/// RFC 7468: labels and bytes of the blocks; text between them is a comment.
fn pem_blocks(text: &str) -> Result<Vec<(&str, Vec<u8>)>, String> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let (label, after) = after
            .split_once("-----")
            .ok_or("a PEM block has no label")?;
        let end = format!("-----END {label}-----");
        let (body, after) = after
            .split_once(end.as_str())
            .ok_or_else(|| format!("the PEM block {label:?} does not end"))?;
        let body: String = body.split_ascii_whitespace().collect();
        let der = STANDARD
            .decode(body)
            .map_err(|_| format!("the PEM block {label:?} is damaged"))?;
        blocks.push((label, der));
        rest = after;
    }
    Ok(blocks)
}
