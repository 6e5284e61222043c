//! `stats`: how much there is in a data directory.

use anyhow::Result;
use serde_json::json;

use super::output::say;
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
        say!("{report}");
        return Ok(());
    }
    let journal = stats.journal;
    say!(
        "journal     {} bytes, {} of them compacted",
        journal.base + journal.segments,
        journal.base
    );
    say!("index       {} bytes", stats.index);
    say!("media       {} bytes", stats.media);
    match stats.checkpoint {
        Some(commit) => say!("checkpoint  commit {commit}"),
        None => say!("checkpoint  none; the next start rebuilds the index"),
    }
    for (tree, rows) in &stats.rows {
        say!("{tree:<10}  {rows} rows");
    }
    Ok(())
}
