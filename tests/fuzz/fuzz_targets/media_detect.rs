//! Fuzzes the first bytes of files.
#![no_main]

libfuzzer_sys::fuzz_target!(|head: &[u8]| jivchat::media::fuzzing::detect(head));
