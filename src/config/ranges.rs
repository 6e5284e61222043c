//! The range of every number, in the help, the manual page and the completions. clap keeps ranges to itself and names one only to
//! whoever is out of it: so every parser of a flag is asked once with numbers that are out of most ranges.

use std::error::Error as _;

use clap::builder::ValueParser;
use clap::{Arg, Command};

/// What no range with an end has in it, and what none has in it that begins above nothing.
const OUTSIDE: [&str; 2] = ["9223372036854775807", "0"];

/// Adds its range to the help of each flag that has one, of this command and those below it.
pub(super) fn described(command: Command) -> Command {
    command
        .mut_args(|arg| {
            let range = range(arg.get_value_parser());
            match (range, arg.get_help().map(ToString::to_string)) {
                (Some(range), Some(help)) => arg.help(format!("{help} [{range}]")),
                _ => arg,
            }
        })
        .mut_subcommands(described)
}

fn range(parser: &ValueParser) -> Option<String> {
    OUTSIDE.iter().find_map(|number| {
        let value = Arg::new("value").value_parser(parser.clone());
        let asked = Command::new("range").no_binary_name(true).arg(value);
        let refused = asked.try_get_matches_from([number]).err()?;
        let why = refused.source()?.to_string();
        let (first, last) = why.split_once(" is not in ")?.1.split_once("..")?;
        Some(match last.strip_prefix('=') {
            Some(last) => format!("from {first} to {last}"),
            None => format!("at least {first}"),
        })
    })
}

#[cfg(test)]
mod tests {
    use clap::value_parser;

    use super::*;

    #[test]
    fn numbers_have_ranges_and_words_have_none() {
        let of = |parser: ValueParser| range(&parser);
        let told = |text: &str| Some(text.to_owned());
        assert_eq!(of(value_parser!(u16).into()), told("from 0 to 65535"));
        let some = value_parser!(u32).range(16..=1000).into();
        assert_eq!(of(some), told("from 16 to 1000"));
        let open = value_parser!(u64).range(1024..).into();
        assert_eq!(of(open), told("at least 1024"));
        let open = value_parser!(u32).range(1..).into();
        assert_eq!(of(open), told("at least 1"));
        assert_eq!(of(value_parser!(String)), None);
        assert_eq!(of(value_parser!(std::net::IpAddr).into()), None);
    }

    #[test]
    fn every_number_of_every_command_tells_its_range() {
        let mut told = 0;
        let command = crate::config::command();
        for command in std::iter::once(&command).chain(command.get_subcommands()) {
            for arg in command.get_arguments() {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                let value = arg.get_value_names().unwrap_or_default().first();
                let is_number = value.is_some_and(|name| {
                    matches!(
                        &**name,
                        "N" | "SECONDS" | "MS" | "MIB" | "BYTES" | "DAYS" | "HOURS" | "RATIO"
                    )
                });
                if is_number {
                    let name = arg.get_id();
                    assert!(
                        help.contains("[from ") || help.contains("[at least "),
                        "{name}: {help}"
                    );
                    told += 1;
                }
            }
        }
        assert!(told > 60, "{told}");
    }
}
