//! Where the backend is asked: an address with a place for an id. Whatever the id is, the request goes to this host and below this path.

use std::str::FromStr;

use hyper::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const PLACE: &str = "{id}";
/// RFC 3986 §2.3: everything but unreserved characters is escaped, so that an id is never more than one segment.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// An `http` or `https` address that may contain `{id}` in its path or query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// What stands before, between and after the places.
    parts: Vec<String>,
    is_encrypted: bool,
    is_loopback: bool,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let probe = text.replace(PLACE, "0");
        let uri: Uri = probe
            .parse()
            .map_err(|_| format!("{text:?} is no address"))?;
        let is_encrypted = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("the address begins with http:// or https://".to_owned()),
        };
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if uri.host().is_none_or(str::is_empty) || authority.contains('@') {
            return Err("the address names a host, and neither a user nor a password".to_owned());
        }
        if text.contains('#') || probe.contains(['{', '}']) {
            return Err("the address has no fragment and no braces but {id}".to_owned());
        }
        // An id that chose the host would send the request, and a token with it, anywhere.
        let after_scheme = text.split_once("://").map_or("", |(_, after)| after);
        let host = after_scheme.split(['/', '?']).next().unwrap_or_default();
        if host.contains('{') {
            return Err("{id} stands in the path or the query, never in the host".to_owned());
        }
        let loopback = ["localhost", "127.0.0.1", "[::1]"];
        Ok(Self {
            parts: text.split(PLACE).map(str::to_owned).collect(),
            is_encrypted,
            is_loopback: uri.host().is_some_and(|host| loopback.contains(&host)),
        })
    }
}

impl Address {
    /// Whether the address says of whom.
    pub fn names_an_id(&self) -> bool {
        self.parts.len() > 1
    }

    /// Whether whoever is between could read what is sent.
    pub(super) fn is_exposed(&self) -> bool {
        !self.is_encrypted && !self.is_loopback
    }

    /// The address for `id`; `None` when no address can hold it.
    pub(super) fn of(&self, id: &str) -> Option<Uri> {
        // Escaped or not, servers take these for "here" and "one up".
        if self.names_an_id() && matches!(id, "." | "..") {
            return None;
        }
        let id = utf8_percent_encode(id, ESCAPED).to_string();
        self.parts.join(&id).parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(template: &str, id: &str) -> Option<String> {
        let address: Address = template.parse().unwrap();
        Some(address.of(id)?.to_string())
    }

    #[test]
    fn an_id_stays_in_its_place() {
        let pets = "http://127.0.0.1:5000/api/pets/{id}?full=1";
        for (id, asked) in [
            ("64f0", "http://127.0.0.1:5000/api/pets/64f0?full=1"),
            ("a.b-c_d", "http://127.0.0.1:5000/api/pets/a.b-c_d?full=1"),
            (
                "a@evil:80",
                "http://127.0.0.1:5000/api/pets/a%40evil%3A80?full=1",
            ),
            (
                "../x?y#z/",
                "http://127.0.0.1:5000/api/pets/..%2Fx%3Fy%23z%2F?full=1",
            ),
            ("é", "http://127.0.0.1:5000/api/pets/%C3%A9?full=1"),
        ] {
            assert_eq!(of(pets, id).as_deref(), Some(asked), "{id}");
        }
        assert_eq!(of(pets, "."), None);
        assert_eq!(of(pets, ".."), None);
        let twice = of("https://shop.example/{id}?id={id}", "7");
        assert_eq!(twice.as_deref(), Some("https://shop.example/7?id=7"));
        let own = of("http://[::1]:5000/api/profile", "..");
        assert_eq!(own.as_deref(), Some("http://[::1]:5000/api/profile"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "shop.example/api",
            "/api/pets/{id}",
            "ftp://shop.example/{id}",
            "file:///etc/passwd",
            "http:///x",
            "http://u:p@shop.example/{id}",
            "http://{id}/x",
            "http://{id}.shop.example/x",
            "http://shop.example:{id}/x",
            "http://shop.example/{pet}",
            "http://shop.example/{id}#x",
            "http://shop.example/a b",
        ] {
            let refused = bad.parse::<Address>();
            assert!(refused.is_err(), "{bad}");
        }
    }

    #[test]
    fn who_could_listen_is_known() {
        let exposed = |text: &str| text.parse::<Address>().unwrap().is_exposed();
        assert!(exposed("http://shop.example/api/profile"));
        assert!(!exposed("https://shop.example/api/profile"));
        assert!(!exposed("http://localhost:5000/api/profile"));
        assert!(!exposed("http://[::1]/api/profile"));
    }
}
