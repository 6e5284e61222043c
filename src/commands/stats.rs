//! `stats`: how much there is in a data directory.

use anyhow::Result;
use serde_json::json;

use crate::config::Offline;
use crate::store;

/// Prints sizes and row counts.
pub fn stats(arguments: &Offline) -> Result<()> {
    let stats = store::stats(&arguments.inspection())?;
    if arguments.json {
        let report = json!({
            "journalBytes": stats.journal.base + stats.journal.segments,
            "journalBaseBytes": stats.journal.base,
            "indexBytes": stats.index,
            "mediaBytes": stats.media,
            "checkpoint": stats.checkpoint,
            "rows": stats.rows,
        });
        println!("{report}");
        return Ok(());
    }
    let journal = stats.journal;
    println!(
        "journal     {} bytes, {} of them compacted",
        journal.base + journal.segments,
        journal.base
    );
    println!("index       {} bytes", stats.index);
    println!("media       {} bytes", stats.media);
    match stats.checkpoint {
        Some(commit) => println!("checkpoint  commit {commit}"),
        None => println!("checkpoint  none; the next start rebuilds the index"),
    }
    for (tree, rows) in &stats.rows {
        println!("{tree:<10}  {rows} rows");
    }
    Ok(())
}
