//! Fuzzes damaged journals.
#![no_main]

mod damage;

libfuzzer_sys::fuzz_target!(|script: &[u8]| damage::journal_damage(script));
