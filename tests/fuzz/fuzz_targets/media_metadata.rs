//! Fuzzes what is looked for in pictures and films.
#![no_main]

#[expect(dead_code, reason = "each target uses one of the decoders")]
mod decoders;

libfuzzer_sys::fuzz_target!(|file: &[u8]| decoders::media_metadata(file));
