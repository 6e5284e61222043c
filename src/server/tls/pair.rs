//! A certificate and its key out of two files of PEM, and what is wrong with them where they are no pair.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, InconsistentKeys, RootCertStore, ServerConfig};

/// Past the last day that a certificate can name, the end of the year 9999.
const NEVER: UnixTime = UnixTime::since_unix_epoch(Duration::from_hours(70_389_528));

/// What TLS is spoken with.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) config: Arc<ServerConfig>,
    /// When the certificate ends.
    pub(super) ends: Option<SystemTime>,
}

/// Why two files are no certificate with its key. One line each, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{flag} {} cannot be read: {source}; check its path, owner and mode", .path.display())]
    Unreadable {
        /// What names it.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file is no PEM.
    #[error("{flag} {} is damaged: {reason}", .path.display())]
    Damaged {
        /// What names it.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The one file holds the other's content, or nothing.
    #[error("--tls-cert {} holds no certificate; give PEM with -----BEGIN CERTIFICATE-----", .0.display())]
    NoCertificate(PathBuf),
    /// The same, the other way round.
    #[error("--tls-key {} holds no private key; give PEM with -----BEGIN PRIVATE KEY-----", .0.display())]
    NoKey(PathBuf),
    /// Nobody is there at the start to type a passphrase.
    #[error(
        "--tls-key {path} is encrypted; take the passphrase away: openssl pkey -in {path} -out plain.pem, with mode 600",
        path = .0.display()
    )]
    EncryptedKey(PathBuf),
    /// Two files of two pairs.
    #[error(
        "the key in --tls-key {} is not that of the first certificate in --tls-cert {}; \
         give both of one pair, the server's own certificate before its authority's", .key.display(), .certificate.display()
    )]
    Mismatch {
        /// The file with the certificate.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
    /// A pair that cannot be used.
    #[error(
        "--tls-cert {} and --tls-key {} cannot be used: {reason}; RSA of 2048 to 8192 bits, P-256, P-384, P-521 and Ed25519 can",
        .certificate.display(), .key.display()
    )]
    Unfit {
        /// The file with the certificate.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Pair {
    /// Reads both files.
    pub(super) fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = chain(certificate)?;
        let ends = chain.first().and_then(|first| end(first, &provider));
        let config = config(chain, private_key(key)?, provider).map_err(|error| {
            let (certificate, key) = (certificate.to_owned(), key.to_owned());
            match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    TlsError::Mismatch { certificate, key }
                }
                error => TlsError::Unfit {
                    certificate,
                    key,
                    reason: error.to_string(),
                },
            }
        })?;
        Ok(Self {
            config: Arc::new(config),
            ends,
        })
    }
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: Arc<CryptoProvider>,
) -> Result<ServerConfig, rustls::Error> {
    // Tells two files of two pairs from a key that cannot be used at all.
    CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    // What an upgrade to a websocket needs; HTTP/2 is not spoken.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Whoever comes back, such as everybody after a restart of the network, need not pay for a whole handshake; what the server would
    // have to remember for that is with the client.
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.send_tls13_tickets = 1;
    Ok(config)
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read("--tls-cert", path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = chain.map_err(|error| damaged("--tls-cert", path, &error))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(chain)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = read("--tls-key", path)?;
    let is_encrypted = || {
        let text = String::from_utf8_lossy(&bytes);
        text.contains("-----BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
    };
    if is_encrypted() {
        return Err(TlsError::EncryptedKey(path.to_owned()));
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey(path.to_owned()),
        error => damaged("--tls-key", path, &error),
    })
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Unreadable {
        flag,
        path: path.to_owned(),
        source,
    })
}

fn damaged(flag: &'static str, path: &Path, error: &pem::Error) -> TlsError {
    TlsError::Damaged {
        flag,
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

/// When a certificate ends. Whoever verifies it at the end of all days is told since when that is too late.
fn end(certificate: &CertificateDer<'_>, provider: &CryptoProvider) -> Option<SystemTime> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let verdict = verify_server_cert_signed_by_trust_anchor(
        &parsed,
        &RootCertStore::empty(),
        &[],
        NEVER,
        provider.signature_verification_algorithms.all,
    );
    match verdict {
        Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
            not_after,
            ..
        })) => UNIX_EPOCH.checked_add(Duration::from_secs(not_after.as_secs())),
        _ => None,
    }
}
