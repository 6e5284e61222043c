//! `completions` and `man`: made from the same flags that are parsed.

use anyhow::{Context, Result};

use super::output;
use crate::config::{self, Completions, Man};

/// Prints a completion script.
pub fn completions(arguments: &Completions) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut config::command(),
        "jivchat",
        &mut script,
    );
    output::bytes(&script);
    Ok(())
}

/// Prints the manual page, or writes the pages of all commands.
pub fn man(arguments: &Man) -> Result<()> {
    // `help` has no page of its own.
    let command = config::command().disable_help_subcommand(true);
    if let Some(dir) = &arguments.dir {
        return clap_mangen::generate_to(command, dir).with_context(|| {
            format!(
                "cannot write into {}; make it first, and writable",
                dir.display()
            )
        });
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    output::bytes(&page);
    Ok(())
}
