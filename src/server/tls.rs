//! The certificate that the server shows, read from its files and, when it is told to, read again. It knows TLS, and neither HTTP
//! nor connections.

mod pair;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_rustls::TlsAcceptor;

use self::pair::Pair;
pub use self::pair::TlsError;

/// A certificate that ends sooner is warned about: authorities renew theirs a month before.
const SOON: Duration = Duration::from_hours(14 * 24);

/// The certificate and its key, as they were when they were last of use.
#[derive(Debug)]
pub(super) struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    present: RwLock<Arc<Pair>>,
    failed_handshakes: AtomicU64,
}

impl Certificates {
    /// Reads both files.
    pub(super) fn open(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let pair = Pair::load(certificate, key)?;
        warn_of_the_end(pair.ends);
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            present: RwLock::new(Arc::new(pair)),
            failed_handshakes: AtomicU64::new(0),
        })
    }

    /// Reads both files again. A pair that is of no use leaves the old one where it is; connections keep what they have.
    pub(super) fn reload(&self) -> Result<(), TlsError> {
        let pair = Pair::load(&self.certificate, &self.key)?;
        warn_of_the_end(pair.ends);
        let ends = written(pair.ends);
        tracing::info!(path = %self.certificate.display(), ends, "certificate read");
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
        Ok(())
    }

    /// What the next connection is to be met with.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.present().config))
    }

    /// Counts a connection that came to nothing.
    pub(super) fn count_failure(&self) {
        self.failed_handshakes.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn figures(&self) -> TlsFigures {
        TlsFigures {
            ends: self.present().ends,
            failed_handshakes: self.failed_handshakes.load(Ordering::Relaxed),
        }
    }

    fn present(&self) -> Arc<Pair> {
        Arc::clone(&self.present.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What there is to watch.
#[derive(Debug, Clone, Copy)]
pub(super) struct TlsFigures {
    /// When the certificate ends.
    pub(super) ends: Option<SystemTime>,
    /// Connections that never came to a request, since the start.
    pub(super) failed_handshakes: u64,
}

/// Whether the files are a pair, and until when.
pub(super) fn inspect(certificate: &Path, key: &Path) -> Result<String, TlsError> {
    let ends = Pair::load(certificate, key)?.ends;
    let path = certificate.display();
    Ok(match ends {
        Some(end) if end < SystemTime::now() => {
            format!("{path} ended on {}: clients refuse it", written(ends))
        }
        _ => format!("{path} and its key, until {}", written(ends)),
    })
}

/// Clients refuse such a certificate; that is no reason to refuse those that do not look.
fn warn_of_the_end(ends: Option<SystemTime>) {
    let Some(end) = ends else { return };
    let on = written(ends);
    match end.duration_since(SystemTime::now()) {
        Err(_) => tracing::warn!(on, "the certificate has ended: clients refuse it; renew it"),
        Ok(left) if left < SOON => tracing::warn!(on, "the certificate ends soon; renew it"),
        Ok(_) => {}
    }
}

fn written(ends: Option<SystemTime>) -> String {
    let written = ends.and_then(|end| OffsetDateTime::from(end).format(&Rfc3339).ok());
    written.unwrap_or_else(|| "a day that cannot be read".to_owned())
}
