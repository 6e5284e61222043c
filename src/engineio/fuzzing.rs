//! Doors to this layer's private decoders, for the fuzzer and the corpus test alone: each takes any bytes and panics if the decoder
//! breaks its word. No part of the API.

use super::fragments::FragmentLimit;
use super::query::last_value;

/// A raw query string: a name that is added at the end is found, whatever stands before it.
pub fn query(text: &str) {
    let _ = last_value(text, "sid");
    let added = format!("{text}&sid=a%20b");
    assert_eq!(last_value(&added, "sid").as_deref(), Some("a b"));
}

/// A websocket's byte stream: how it is cut into reads, by the first byte, changes nothing.
pub fn fragments(bytes: &[u8]) {
    let Some((&chunk, stream)) = bytes.split_first() else {
        return;
    };
    let accepts = |chunk: usize| {
        let mut limit = FragmentLimit::new((), 3);
        stream
            .chunks(chunk)
            .all(|bytes| limit.inspect(bytes).is_ok())
    };
    assert_eq!(accepts(usize::from(chunk).max(1)), accepts(usize::MAX));
}
