//! `completions` and `man`: made from the same flags that are parsed.

use std::io;

use anyhow::{Context, Result};

use crate::config::{self, Completions, Man};

/// Prints a completion script.
pub fn completions(arguments: &Completions) -> Result<()> {
    clap_complete::generate(
        arguments.shell,
        &mut config::command(),
        "jivchat",
        &mut io::stdout(),
    );
    Ok(())
}

/// Prints the manual page, or writes the pages of all commands.
pub fn man(arguments: &Man) -> Result<()> {
    // `help` has no page of its own.
    let command = config::command().disable_help_subcommand(true);
    match &arguments.dir {
        None => Ok(clap_mangen::Man::new(command).render(&mut io::stdout())?),
        Some(dir) => clap_mangen::generate_to(command, dir).with_context(|| {
            format!(
                "cannot write into {}; make it first, and writable",
                dir.display()
            )
        }),
    }
}
