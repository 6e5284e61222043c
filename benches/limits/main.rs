//! What the machine allows: the least that a server could do for the same wire events, and the least that a store could do for the same
//! records. No rules, no accounts, no recovery: only for comparison, as the upper end of the table in `docs/performance.md`.
//!
//! ```text
//! cargo bench --bench limits -- serve --data-dir DIR --jwt-secret IGNORED   # for the load generator's --command
//! cargo bench --bench limits -- disk                                        # journal, sled, plain file
//! ```

mod disk;
mod log;
mod serve;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Flags {
    /// Given by `cargo bench`
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Bare websockets over a group-committed log, and canned bodies over bare HTTP
    Serve {
        /// Where the log is
        #[arg(long)]
        data_dir: PathBuf,
        /// Taken and not looked at: no token is checked
        #[arg(long)]
        jwt_secret: String,
    },
    /// Records a second of the journal, of sled with a flush for each group, and of a plain file
    Disk {
        /// Where to write
        #[arg(long, default_value = ".")]
        dir: PathBuf,
        /// Records in a group
        #[arg(long, default_value_t = 100)]
        group: usize,
        /// How long each
        #[arg(long, default_value_t = 3)]
        seconds: u64,
    },
}

fn main() -> Result<()> {
    match Flags::parse().what {
        Some(What::Serve { data_dir, .. }) => serve::serve(&data_dir),
        Some(What::Disk {
            dir,
            group,
            seconds,
        }) => disk::measure(&dir, group, seconds),
        // `cargo test --all-targets` and a plain `cargo bench` have nothing to ask.
        None => Ok(()),
    }
}
