//! What the disk and the machine may do to a server, from outside: the real binary is killed, starved and filled up, and
//! afterwards `jivchat verify` and the history that its clients see are held against what was acknowledged.
//!
//! `JIVCHAT_ROUNDS` sets how often the random ones are repeated (5 when unset; 50 for a night).
//! Tests that need root to mount a small file system are ignored unless asked for: `cargo test --test it storage -- --ignored`.

mod backup;
mod backup_online;
mod commands;
mod disk;
mod disposal;
mod export;
mod import;
mod kill;
mod limits;
mod load;
mod process;

/// How often a test with an element of chance is repeated.
fn rounds() -> u64 {
    std::env::var("JIVCHAT_ROUNDS").map_or(5, |rounds| rounds.parse().unwrap())
}
