//! One GET to the backend: JSON of bounded size or the reason why not. It follows nothing, sends nothing it was not given, and knows
//! neither users nor pets.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

/// Largest answer, in bytes: a pet may have 64 KiB, and its envelope some more.
const MAX_ANSWER: usize = 256 * 1024;
/// Largest head of an answer, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// How long a connection that is not used is kept.
const IDLE: Duration = Duration::from_secs(30);
/// How many such connections are kept.
const MAX_IDLE: usize = 8;

/// Connections to the backend.
#[derive(Debug, Clone)]
pub(super) struct Client(legacy::Client<HttpsConnector<HttpConnector>, Empty<Bytes>>);

/// What the backend said.
#[derive(Debug)]
pub(super) enum Answer {
    /// 200 and JSON.
    Found(Value),
    /// 404 or 410: there is no such thing.
    Missing,
    /// 401 or 403: not to this token, or not without one.
    Refused(StatusCode),
}

/// Why there is nothing to go by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    #[error("it did not answer in time")]
    Slow,
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("it does not want to answer ({0})")]
    Refused(StatusCode),
    #[error("it redirects ({0}), which is not followed; give the address where it leads")]
    Redirect(StatusCode),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("its answer is larger than 256 KiB")]
    TooLarge,
    #[error("its answer is no JSON")]
    NotJson,
    #[error("its answer makes no sense: {0}")]
    Senseless(String),
    #[error("too many requests to it are under way")]
    Busy,
    #[error("what it said could not be stored")]
    NotStored,
    #[error("the server stops")]
    Stopping,
}

impl Trouble {
    /// Whether it says something of the backend as a whole. A 500 does not: many a backend answers so to an id that it does not
    /// understand, and whoever sends such ids must not be able to cut everybody off.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::Slow | Self::Unreachable(_) | Self::Redirect(_) | Self::NotJson => true,
            Self::Status(status) => matches!(status.as_u16(), 408 | 429 | 502 | 503 | 504),
            Self::Refused(_)
            | Self::TooLarge
            | Self::Senseless(_)
            | Self::Busy
            | Self::NotStored
            | Self::Stopping => false,
        }
    }

    /// Whether asking again soon is of no use.
    pub(super) fn is_lasting(&self) -> bool {
        matches!(
            self,
            Self::Refused(_) | Self::TooLarge | Self::Senseless(_) | Self::Status(_)
        ) && !self.is_outage()
    }
}

/// Why there is no client: the file of `--pull-ca-file` is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificates in {} cannot be used: {reason}; give PEM with -----BEGIN CERTIFICATE-----", .path.display())]
pub struct TrustError {
    path: PathBuf,
    reason: String,
}

impl Client {
    /// A client that trusts the roots of Mozilla, or only those in `roots`.
    pub(super) fn new(roots: Option<&Path>, timeout: Duration) -> Result<Self, TrustError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(client_tls(roots)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .http1_max_buf_size(MAX_HEAD)
            .build(connector);
        Ok(Self(client))
    }

    /// Asks once. Who calls bounds the time.
    pub(super) async fn get(&self, uri: Uri, token: Option<&str>) -> Result<Answer, Trouble> {
        let answer = self.0.request(request(uri, token)?).await;
        let answer = answer.map_err(|error| Trouble::Unreachable(cause(&error)))?;
        let status = answer.status();
        match status.as_u16() {
            200..=203 => {}
            404 | 410 => return Ok(Answer::Missing),
            401 | 403 => return Ok(Answer::Refused(status)),
            300..=399 => return Err(Trouble::Redirect(status)),
            _ => return Err(Trouble::Status(status)),
        }
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| match error.downcast::<LengthLimitError>() {
            Ok(_) => Trouble::TooLarge,
            Err(error) => Trouble::Unreachable(cause(error.as_ref())),
        })?;
        serde_json::from_slice(&body.to_bytes())
            .map(Answer::Found)
            .map_err(|_| Trouble::NotJson)
    }
}

fn request(uri: Uri, token: Option<&str>) -> Result<Request<Empty<Bytes>>, Trouble> {
    let unfit = |_| Trouble::Senseless("the request cannot be made".to_owned());
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let agent = concat!("jivchat/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    if let Some(token) = token {
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(unfit)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(request)
}

/// The innermost reason: the outer ones only say that there is one.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// TLS towards a server that is known by the roots of Mozilla, or only by those in `roots`.
pub fn client_tls(roots: Option<&Path>) -> Result<ClientConfig, TrustError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let refused = |path: &Path, reason: String| TrustError {
        path: path.to_owned(),
        reason,
    };
    let path = roots.unwrap_or(Path::new(""));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(path, error.to_string()))?;
    let Some(path) = roots else {
        return Ok(builder.with_webpki_roots().with_no_client_auth());
    };
    let mut store = RootCertStore::empty();
    let unreadable = |error: rustls::pki_types::pem::Error| refused(path, error.to_string());
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        store
            .add(certificate.map_err(unreadable)?)
            .map_err(|error| refused(path, error.to_string()))?;
    }
    if store.is_empty() {
        return Err(refused(path, "there is no certificate".to_owned()));
    }
    Ok(builder.with_root_certificates(store).with_no_client_auth())
}
