//! What a session remembers of the request that opened it, and the secret id it was given. Knows nothing of what happens later.

use std::fmt;
use std::net::SocketAddr;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use super::packet::token;
use super::query;

/// The request that opened a session.
#[derive(Debug, Clone)]
pub struct Handshake {
    peer: Option<SocketAddr>,
    query: Box<str>,
    headers: Box<[(HeaderName, HeaderValue)]>,
}

impl Handshake {
    pub(super) fn new(
        peer: Option<SocketAddr>,
        query: &str,
        headers: &HeaderMap,
        kept: &[HeaderName],
    ) -> Self {
        let headers = kept
            .iter()
            .filter_map(|name| {
                // A value parsed by hyper shares the connection's read buffer: a copy lets go of it.
                let value = HeaderValue::from_bytes(headers.get(name)?.as_bytes()).ok()?;
                Some((name.clone(), value))
            })
            .collect();
        Self {
            peer,
            query: query.into(),
            headers,
        }
    }

    /// The peer's address, when the request carried one as an extension.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// A parameter of the query, percent-decoded; the last one wins.
    pub fn query(&self, name: &str) -> Option<String> {
        query::last_value(&self.query, name)
    }

    /// A header that [`Config::kept_headers`](super::Config::kept_headers) names.
    pub fn header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.headers
            .iter()
            .find_map(|(kept, value)| (kept == name).then_some(value))
    }
}

/// A session's id on the wire. Whoever knows it can read and write the session, so it is never shown or logged.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Sid([u8; Self::LEN]);

impl Sid {
    const LEN: usize = 20;

    /// 120 random bits; fails only if the operating system has no randomness to give.
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 15];
        getrandom::fill(&mut bytes)?;
        Ok(Self::parse(&token(&bytes)).unwrap_or_else(|| unreachable!("15 bytes are 20 digits")))
    }

    /// Any 20 bytes: whether they name a session is the table's to say.
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.as_bytes().try_into().ok().map(Self)
    }

    pub(super) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sid(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sids_differ_and_do_not_print() {
        let (a, b) = (Sid::random().unwrap(), Sid::random().unwrap());
        assert_ne!(a, b);
        assert_eq!(Sid::parse(a.as_str()), Some(a));
        assert!(
            a.as_str()
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        );
        assert!(!format!("{a:?}").contains(a.as_str()));
    }
}
