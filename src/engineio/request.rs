//! Judges a request: which session it opens or belongs to, or why it is refused. Looks at the request line and headers only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Version};

use super::config::{Config, Transport};
use super::error::RequestError;
use super::handshake::Sid;
use super::query::last_value;

/// What a request asks for, as far as it can be told without its session.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) transport: Transport,
    pub(super) sid: Option<String>,
    pub(super) is_v4: bool,
    pub(super) base64: bool,
    pub(super) upgrade: bool,
}

impl Asked {
    pub(super) fn read(parts: &Parts, config: &Config) -> Result<Self, RequestError> {
        let query = parts.uri.query().unwrap_or_default();
        let transport = match last_value(query, "transport").as_deref() {
            Some("polling") => Transport::Polling,
            Some("websocket") => Transport::WebSocket,
            _ => return Err(RequestError::UnknownTransport),
        };
        if !config.transports.allows(transport) {
            return Err(RequestError::UnknownTransport);
        }
        Ok(Self {
            transport,
            sid: last_value(query, "sid").filter(|sid| !sid.is_empty()),
            is_v4: last_value(query, "EIO").as_deref() == Some("4"),
            base64: last_value(query, "b64")
                .is_some_and(|value| !matches!(value.as_str(), "" | "0")),
            upgrade: asks_for_upgrade(&parts.headers),
        })
    }

    /// The rules for a request without a session.
    pub(super) fn check_open(&self, parts: &Parts) -> Result<(), RequestError> {
        if parts.method != Method::GET {
            return Err(RequestError::BadMethod);
        }
        if self.upgrade != (self.transport == Transport::WebSocket) {
            return Err(RequestError::BadRequest);
        }
        if !self.is_v4 {
            return Err(RequestError::UnsupportedVersion);
        }
        Ok(())
    }

    /// The rules for a request with a session, before the session is asked.
    pub(super) fn check_sid(&self) -> Result<(), RequestError> {
        if self.is_v4 && self.upgrade == (self.transport == Transport::WebSocket) {
            Ok(())
        } else {
            Err(RequestError::BadRequest)
        }
    }

    /// What polling can be asked for. An OPTIONS request that got here was not answered as a preflight, so it is judged like any other
    /// method.
    pub(super) fn check_poll(parts: &Parts) -> Result<(), RequestError> {
        match parts.method {
            Method::GET | Method::POST => Ok(()),
            Method::OPTIONS => Err(RequestError::BadMethod),
            _ => Err(RequestError::MethodNotAllowed),
        }
    }
}

pub(super) fn sid(text: &str) -> Result<Sid, RequestError> {
    Sid::parse(text).ok_or(RequestError::UnknownSid)
}

fn asks_for_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, &UPGRADE, "websocket") && has_token(headers, &CONNECTION, "upgrade")
}

fn has_token(headers: &HeaderMap, name: &hyper::header::HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    })
}

/// RFC 6455, 4.2.1: the key of a well-formed websocket handshake. hyper only sees that the connection is to be upgraded.
pub(super) fn websocket_key(parts: &Parts) -> Result<&[u8], RequestError> {
    let version = parts.headers.get(SEC_WEBSOCKET_VERSION);
    if parts.method != Method::GET
        || parts.version != Version::HTTP_11
        || version.is_none_or(|version| version != "13")
    {
        return Err(RequestError::BadWebSocket);
    }
    let key = parts
        .headers
        .get(SEC_WEBSOCKET_KEY)
        .ok_or(RequestError::BadWebSocket)?
        .as_bytes();
    match STANDARD.decode(key) {
        Ok(nonce) if nonce.len() == 16 => Ok(key),
        _ => Err(RequestError::BadWebSocket),
    }
}

/// The subprotocol to answer with: the first one offered, as the reference does. A browser that offered any takes an answer without one
/// for a failure. What is no token is ignored.
pub(super) fn subprotocol(parts: &Parts) -> Option<HeaderValue> {
    let offered = parts.headers.get(SEC_WEBSOCKET_PROTOCOL)?.as_bytes();
    let first = offered.split(|byte| *byte == b',').next()?.trim_ascii();
    let is_token = !first.is_empty() && first.iter().all(|byte| is_token_byte(*byte));
    is_token
        .then(|| HeaderValue::from_bytes(first).ok())
        .flatten()
}

/// RFC 9110, 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
