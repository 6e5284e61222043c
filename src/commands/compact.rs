//! `compact`: makes the data of a stopped server small.

use anyhow::{Result, bail};
use serde_json::json;

use super::output::say;
use crate::config::Offline;
use crate::store::{Options, ProgressBar, Store};

/// Nobody else sends it work.
const QUEUE: usize = 16;

/// Compacts the journal and the index, and prints what that gave.
pub fn compact(arguments: &Offline) -> Result<()> {
    // Opening would make a new directory where there is none.
    if !arguments.data_dir.join("journal").is_dir() {
        bail!(
            "{} is no data directory: it has no journal; name another with --data-dir",
            arguments.data_dir.display()
        );
    }
    let (store, writer) = Store::open(&Options {
        data_dir: arguments.data_dir.clone(),
        cache: arguments.cache_size << 20,
        queue: QUEUE,
    })?;
    let mut bar = ProgressBar::new("compacting");
    let compacted = store.compact(|done, expected| bar.update(done, expected));
    drop((bar, store));
    writer.join();
    let compacted = compacted?;
    let journal = [compacted.before, compacted.after].map(|sizes| sizes.base + sizes.segments);
    let index = [compacted.index_before, compacted.index_after];
    if arguments.json {
        let report = json!({
            "rows": compacted.rows,
            "journalBytesBefore": journal[0],
            "journalBytesAfter": journal[1],
            "indexBytesBefore": index[0],
            "indexBytesAfter": index[1],
        });
        say!("{report}");
    } else {
        say!("rows     {}", compacted.rows);
        say!("journal  {} bytes, before {}", journal[1], journal[0]);
        say!("index    {} bytes, before {}", index[1], index[0]);
    }
    Ok(())
}
