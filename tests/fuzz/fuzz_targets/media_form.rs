//! Fuzzes forms that carry a file.
#![no_main]

#[expect(dead_code, reason = "each target uses one of the decoders")]
mod decoders;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoders::media_form(bytes));
