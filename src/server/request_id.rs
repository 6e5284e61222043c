//! The name of a request, in its answer and in every line that is logged about it. A proxy that has named it already is followed, so
//! that its log and ours speak of the same thing. It knows nothing of what is asked.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// Where it stands, coming and going.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest name that is taken from a proxy, in bytes.
const MAX_GIVEN: usize = 128;

/// The name of a request: the one that it came with, if that can stand in a line of a log, or one of our own.
pub(super) fn request_id(headers: &HeaderMap) -> HeaderValue {
    let mut given = headers.get_all(REQUEST_ID).iter();
    match (given.next(), given.next()) {
        (Some(one), None) if is_sane(one.as_bytes()) => one.clone(),
        _ => HeaderValue::from_str(&own()).unwrap_or(HeaderValue::from_static("-")),
    }
}

/// Unique in this process, and unlikely to repeat in the next.
pub(super) fn own() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static START: OnceLock<u32> = OnceLock::new();
    let start = START.get_or_init(|| getrandom::u32().unwrap_or_default());
    format!("{start:08x}-{:x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Nothing that a log's reader could take for something else, and nothing that looks like a token: those have two dots.
fn is_sane(given: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte);
    (1..=MAX_GIVEN).contains(&given.len())
        && given.iter().all(is_plain)
        && given.split(|byte| *byte == b'.').count() <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
        }
        request_id(&headers).to_str().unwrap().to_owned()
    }

    #[test]
    fn a_name_that_can_stand_in_a_log_is_kept() {
        for name in [
            "8f2e1c",
            "0af7651916cd43dd-8448eb211c80319c",
            "a:b/c+d=@e.f_g",
        ] {
            assert_eq!(of(&[name.as_bytes()]), name);
        }
    }

    #[test]
    fn any_other_is_replaced() {
        let long = "x".repeat(MAX_GIVEN + 1);
        let given: [&[&[u8]]; 7] = [
            &[],
            &[b""],
            &[b"two words"],
            &[b"\xff"],
            &[b"one", b"two"],
            &[b"header.payload.signature"],
            &[long.as_bytes()],
        ];
        let mut seen = std::collections::BTreeSet::new();
        for values in given {
            let id = of(values);
            assert_eq!(id.len(), own().len(), "{id}");
            assert!(seen.insert(id));
        }
    }
}
