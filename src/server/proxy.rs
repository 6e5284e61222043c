//! Who asks when a proxy stands in between: the address that the last trusted proxy saw. What anybody else writes into
//! `X-Forwarded-For` is not believed.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use crate::config::Subnet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies that are believed.
#[derive(Debug, Clone, Default)]
pub(super) struct Proxies(Vec<Subnet>);

impl Proxies {
    pub(super) fn new(trusted: &[Subnet]) -> Self {
        Self(trusted.to_vec())
    }

    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// The client behind a request from `peer`: read from the right, the first address that is no trusted proxy. An entry that is
    /// no address was written by nobody we trust to write one, so the proxy that passed it on stands for it.
    pub(super) fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        let mut client = peer.ip().to_canonical();
        if !self.trusts(client) {
            return peer;
        }
        // By bytes: a client can send any, and must not take what the proxy added behind them from us.
        let lines: Vec<&[u8]> = headers
            .get_all(&FORWARDED_FOR)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        let entries = lines
            .iter()
            .rev()
            .flat_map(|line| line.rsplit(|byte| *byte == b','));
        for entry in entries {
            let text = std::str::from_utf8(entry).unwrap_or_default();
            let Some(address) = address(text.trim()) else {
                break;
            };
            client = address;
            if !self.trusts(client) {
                break;
            }
        }
        SocketAddr::new(client, peer.port())
    }
}

/// `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::1` or `[2001:db8::1]:4711`.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = entry.trim_start_matches('[').trim_end_matches(']');
    let plain = bare.parse().ok();
    let with_port = || entry.parse().ok().map(|address: SocketAddr| address.ip());
    plain.or_else(with_port).map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, lines: &[impl AsRef<[u8]>]) -> String {
        let trusted: Vec<Subnet> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for line in lines {
            let line = HeaderValue::from_bytes(line.as_ref()).unwrap();
            headers.append(FORWARDED_FOR, line);
        }
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        Proxies::new(&trusted)
            .client(peer, &headers)
            .ip()
            .to_string()
    }

    #[test]
    fn nobody_is_believed_unless_listed() {
        assert_eq!(client(&[], "127.0.0.1", &["203.0.113.7"]), "127.0.0.1");
        let trusted = ["10.0.0.0/8"];
        assert_eq!(client(&trusted, "192.0.2.1", &["203.0.113.7"]), "192.0.2.1");
        assert_eq!(client(&trusted, "10.1.2.3", &[""; 0]), "10.1.2.3");
    }

    #[test]
    fn the_right_most_stranger_is_the_client() {
        let trusted = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"];
        for (lines, expected) in [
            (&["203.0.113.7"][..], "203.0.113.7"),
            // What the client itself sent stands to the left.
            (&["127.0.0.1, 1.2.3.4, 203.0.113.7"], "203.0.113.7"),
            (&["1.2.3.4", "203.0.113.7"], "203.0.113.7"),
            (&["203.0.113.7, 10.0.0.2, 10.0.0.3"], "203.0.113.7"),
            (&["203.0.113.7, fd00::2"], "203.0.113.7"),
            (&["203.0.113.7:4711"], "203.0.113.7"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["::ffff:203.0.113.7"], "203.0.113.7"),
            (&["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
            (&["203.0.113.7, unknown, 10.0.0.3"], "10.0.0.3"),
            (&["unknown"], "127.0.0.1"),
            (&["", ","], "127.0.0.1"),
        ] {
            assert_eq!(client(&trusted, "127.0.0.1", lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_hide_nothing_that_stands_behind_them() {
        for (line, expected) in [
            (&b"\xff, 203.0.113.7"[..], "203.0.113.7"),
            (b"1.2.3.4, \xff\xfe, 203.0.113.7, 127.0.0.1", "203.0.113.7"),
            (b"203.0.113.7, \xff", "127.0.0.1"),
        ] {
            assert_eq!(client(&["127.0.0.1"], "127.0.0.1", &[line]), expected);
        }
    }
}
