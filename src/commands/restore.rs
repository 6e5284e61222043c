//! `restore`: a backup becomes a data directory.

use anyhow::Result;

use super::backup::{Steps, complain, place, print};
use crate::backup;
use crate::config::Restore;

/// Restores a backup and prints what was in it.
pub fn restore(arguments: &Restore) -> Result<()> {
    let mut steps = Steps::default();
    let restored = backup::restore(
        &arguments.from,
        &place(&arguments.to),
        &mut |step, done, all| {
            steps.show(step, done, all);
        },
    );
    drop(steps);
    let report = restored?;
    print(
        &report,
        &arguments.to.data_dir.display().to_string(),
        arguments.to.json,
    );
    complain(&report, "the backup is restored")
}
