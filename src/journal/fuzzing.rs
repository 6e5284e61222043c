//! Doors to this module's private decoders, for the fuzzer and the corpus test alone: each takes any bytes and panics if the decoder
//! breaks its word. No part of the API.

use super::frame::{self, Checksum};
use super::segment;

/// The head of a file, and a frame: as they are, and as if their checksums were right, which a fuzzer does not guess. What is decoded
/// is encoded to the same bytes.
pub fn frame(bytes: &[u8]) {
    if let Some(head) = bytes.first_chunk() {
        let _ = segment::Header::decode(head);
    }
    let checksum = Checksum::salted(1);
    let _ = frame::decode_header(&checksum, bytes);
    let Some((commits, payload)) = bytes.split_first() else {
        return;
    };
    let header = frame::Header::for_payload(7, u32::from(*commits), payload);
    let Ok(group) = frame::decode_payload(&header, payload) else {
        return;
    };
    assert_eq!(group.len(), usize::from(*commits));
    let mut again = Vec::new();
    frame::encode(&checksum, &group, &mut again);
    assert_eq!(&again[frame::HEADER_BYTES..], payload);
}
