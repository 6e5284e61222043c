//! Fuzzes Engine.IO payloads.
#![no_main]

#[expect(dead_code, reason = "each target uses one of the decoders")]
mod decoders;

libfuzzer_sys::fuzz_target!(|body: &[u8]| decoders::engineio_payload(body));
