//! `jivchat`: flags in, exit code out. 0 for success, 1 for a failure, 2 for wrong flags.

use std::process::ExitCode;

use jivchat::commands;
use jivchat::config::{Cli, Command};

/// Gives memory back to the system when clients leave, which the system's own allocator does not.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::read();
    let outcome = match cli.command {
        None => commands::serve(&cli.serve),
        Some(Command::Serve(serve)) => commands::serve(&serve),
        Some(Command::Token(token)) => commands::token(&token),
        Some(Command::Healthcheck(healthcheck)) => commands::healthcheck(&healthcheck),
        Some(Command::Check(check)) => commands::check(&check),
        Some(Command::Verify(offline)) => commands::verify(&offline),
        Some(Command::Compact(offline)) => commands::compact(&offline),
        Some(Command::Stats(offline)) => commands::stats(&offline),
        Some(Command::Backup(backup)) => commands::backup(&backup),
        Some(Command::Restore(restore)) => commands::restore(&restore),
        Some(Command::Export(export)) => commands::export(&export),
        Some(Command::Import(import)) => commands::import(&import),
        Some(Command::Completions(completions)) => commands::completions(&completions),
        Some(Command::Man(man)) => commands::man(&man),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jivchat: {}", one_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, each said once: many of ours name their cause themselves.
fn one_line(error: &anyhow::Error) -> String {
    error
        .chain()
        .fold(String::new(), |said, cause| match cause.to_string() {
            cause if said.contains(&cause) => said,
            cause if said.is_empty() => cause,
            cause => format!("{said}: {cause}"),
        })
}
