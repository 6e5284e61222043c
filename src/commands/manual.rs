//! `completions` and `man`: made from the same flags that are parsed.

use std::io;

use anyhow::Result;
use clap::CommandFactory;

use crate::config::{Cli, Completions};

/// Prints a completion script.
pub fn completions(arguments: &Completions) -> Result<()> {
    clap_complete::generate(
        arguments.shell,
        &mut Cli::command(),
        "jivchat",
        &mut io::stdout(),
    );
    Ok(())
}

/// Prints the manual page.
pub fn man() -> Result<()> {
    Ok(clap_mangen::Man::new(Cli::command()).render(&mut io::stdout())?)
}
