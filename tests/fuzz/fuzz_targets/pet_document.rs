//! Fuzzes documents of pets.
#![no_main]

#[expect(dead_code, reason = "each target uses one of the decoders")]
mod decoders;

libfuzzer_sys::fuzz_target!(|text: &str| decoders::pet(text));
