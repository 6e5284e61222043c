//! Fuzzes query strings.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| jivchat::engineio::fuzzing::query(text));
