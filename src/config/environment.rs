//! Variables as flags: one that is empty is one that is not set, as in most compose files and shells, and a value of one that is of no
//! use is said to come from it. Which variables there are stands with the flags.

use std::env;
use std::ffi::{OsStr, OsString};

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, Error, FromArgMatches};

use super::Cli;

impl Cli {
    /// What the arguments of this process and its variables say. Ends the process where they are of no use, or ask for help.
    pub fn read() -> Self {
        let arguments: Vec<OsString> = env::args_os().collect();
        let command = without_empty_variables(Self::command());
        let read = command.try_get_matches_from(&arguments);
        let read = read.and_then(|found| Self::from_arg_matches(&found));
        read.unwrap_or_else(|error| {
            if error.kind() == ErrorKind::DisplayHelp {
                // Ranges are looked for when somebody reads of them, not at every start. Ends the process.
                without_empty_variables(super::command()).get_matches_from(&arguments);
            }
            with_variable(error, &arguments).exit()
        })
    }
}

fn without_empty_variables(command: Command) -> Command {
    command
        .mut_args(|flag| {
            let value = flag.get_env().and_then(env::var_os);
            if value.is_some_and(|value| value.is_empty()) {
                flag.env(Resettable::Reset)
            } else {
                flag
            }
        })
        .mut_subcommands(without_empty_variables)
}

/// The error names the flag; whoever has set a variable looks for that.
fn with_variable(mut error: Error, arguments: &[OsString]) -> Error {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    // As in `--port <PORT>`.
    let flag = flag.split(' ').next().unwrap_or_default().to_owned();
    let is_given = |argument: &OsString| argument.to_string_lossy().starts_with(&flag);
    let variable = variable_of(&Cli::command(), flag.trim_start_matches('-'));
    if let Some(variable) = variable.filter(|_| !arguments.iter().any(is_given)) {
        let tip = format!("the value is that of the variable {variable}");
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![tip.into()]),
        );
    }
    error
}

fn variable_of(command: &Command, flag: &str) -> Option<String> {
    let own = command
        .get_arguments()
        .find(|one| one.get_long() == Some(flag));
    let variable = own.and_then(|one| one.get_env()).map(OsStr::to_owned);
    let mut below = command.get_subcommands();
    variable
        .and_then(|name| name.into_string().ok())
        .or_else(|| below.find_map(|command| variable_of(command, flag)))
}
