//! Flags of the backend that users and pets are pulled from.

use std::path::PathBuf;

use clap::Args;

use crate::backend::Address;

/// Where users and pets are pulled from.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Existing backend")]
pub struct Backend {
    /// Address that answers with a user's profile, such as <http://127.0.0.1:5000/api/profile>; asked with the user's own token, on first use. May contain {id}
    #[arg(long, value_name = "URL")]
    pub profile_url: Option<Address>,
    /// Address that answers with a pet, such as <http://127.0.0.1:5000/api/pets/{id}>; asked without a token, when the first chat about it is opened
    #[arg(long, value_name = "URL", value_parser = with_id)]
    pub pet_url: Option<Address>,
    /// Milliseconds to wait for an answer; past it a known user or pet stays as it is, and an unknown pet is 503
    #[arg(long, default_value_t = 3000, value_name = "MS", value_parser = clap::value_parser!(u64).range(100..=30_000))]
    pub pull_timeout: u64,
    /// Seconds an answer counts; past it it is asked for again behind the scenes, and changes are told to open chats
    #[arg(long, default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub pull_ttl: u64,
    /// Requests at once to each address; past it those that somebody waits for queue up within their time-out
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub pull_concurrency: u16,
    /// Failures in a row after which an address is left alone
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub pull_failures: u32,
    /// Seconds between attempts while an address is left alone; meanwhile unknown pets are 503 with Retry-After
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub pull_pause: u64,
    /// Unknown pets and users one caller may have asked for per minute; 0 for no limit; past it 429
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=6_000_000))]
    pub pull_rate: u32,
    /// File with certificates in PEM to trust for https, in place of the public ones
    #[arg(long, value_name = "FILE")]
    pub pull_ca_file: Option<PathBuf>,
}

fn with_id(text: &str) -> Result<Address, String> {
    let address: Address = text.parse()?;
    if address.names_an_id() {
        Ok(address)
    } else {
        Err("the address needs {id} where the pet's id goes".to_owned())
    }
}
