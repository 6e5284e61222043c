//! Fuzzes `Range` headers.
#![no_main]

libfuzzer_sys::fuzz_target!(|header: &str| jivchat::media::fuzzing::range(header));
