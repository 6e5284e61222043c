//! `completions` and `man`: made from the same flags that are parsed.

use anyhow::Result;
use clap::CommandFactory;

use super::output;
use crate::config::{Cli, Completions};

/// Prints a completion script.
pub fn completions(arguments: &Completions) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "jivchat", &mut script);
    output::bytes(&script);
    Ok(())
}

/// Prints the manual page.
pub fn man() -> Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    output::bytes(&page);
    Ok(())
}
