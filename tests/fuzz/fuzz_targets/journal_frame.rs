//! Fuzzes heads of files and frames of the journal.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jivchat::journal::fuzzing::frame(bytes));
