//! Doors to this module's private decoders, for the fuzzer and the corpus test alone: each takes any bytes and panics if the decoder
//! breaks its word. No part of the API.

use super::detect::MediaType;
use super::range::{Ranged, parse};

/// A `Range` header, of files of every size: a part is never empty and lies within the file.
pub fn range(header: &str) {
    for size in [0, 1, 1000, u64::MAX] {
        if let Ranged::Part(part) = parse(header, size) {
            assert!(
                part.start < part.end && part.end <= size,
                "{part:?} of {size}"
            );
        }
    }
}

/// The first bytes of a file: the name of a file of its type leads back to the type.
pub fn detect(head: &[u8]) {
    if let Some(found) = MediaType::detect(head) {
        let name = found.file_name(1, 1);
        assert_eq!(MediaType::of_name(&name), Some(found));
    }
}
