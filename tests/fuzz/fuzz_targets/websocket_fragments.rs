//! Fuzzes the count of websocket fragments.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jivchat::engineio::fuzzing::fragments(bytes));
