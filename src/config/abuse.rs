//! Flags against abuse: how often a user and an address may do a thing. Each is off with 0, and all are with `--no-rate-limit`.

use clap::Args;

/// Limits of the one who asks too much.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Abuse")]
pub struct Abuse {
    /// Messages per minute from one address, and as many at once after a pause; 0 for no limit; past it 429. Loopback is no address of anybody, here and below
    #[arg(long, default_value_t = 6000, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=6_000_000))]
    pub message_rate_per_address: u32,
    /// Words of typing per minute from one user, and as many at once; 0 for no limit; past it an error event
    #[arg(long, default_value_t = 600, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=6_000_000))]
    pub typing_rate: u32,
    /// The same from one address
    #[arg(long, default_value_t = 12_000, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=6_000_000))]
    pub typing_rate_per_address: u32,
    /// New chats per minute from one user, and as many at once; 0 for no limit; past it 429
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=6_000_000))]
    pub chat_rate: u32,
    /// The same from one address
    #[arg(long, default_value_t = 600, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=6_000_000))]
    pub chat_rate_per_address: u32,
    /// New chats per hour from one user, and as many at once; 0 for no limit; past it 429 `too_many_chats`, and the admin is told of the user
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=6_000_000))]
    pub chats_per_hour: u32,
    /// The same for a user who has had a chat for a week
    #[arg(long, default_value_t = 240, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=6_000_000))]
    pub chats_per_hour_established: u32,
    /// Chats to which one user may send the same content within an hour, of those that they opened themselves; 0 for no limit; past it 429 `duplicate_message`, and the admin is told of the user
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub duplicate_chats: u32,
    /// Blocks and unblocks per minute from one user, and as many at once; 0 for no limit; past it 429
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=6_000_000))]
    pub block_rate: u32,
    /// The same from one address
    #[arg(long, default_value_t = 1200, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=6_000_000))]
    pub block_rate_per_address: u32,
    /// People whom one user may block; past it 409 `too_many_blocks`
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_blocked_users: u32,
    /// Uploads per minute from one user, and as many at once; 0 for no limit; past it 429
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=6_000_000))]
    pub upload_rate: u32,
    /// The same from one address
    #[arg(long, default_value_t = 1200, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=6_000_000))]
    pub upload_rate_per_address: u32,
    /// MiB of uploads per minute from one user, and as many at once; 0 for no limit; past it the next one is 429
    #[arg(long, default_value_t = 1024, value_name = "MIB", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub upload_volume: u32,
    /// The same from one address
    #[arg(long, default_value_t = 16_384, value_name = "MIB", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub upload_volume_per_address: u32,
    /// Reads per minute from one user (pages, counters, receipts, joining, deleting), and as many at once; 0 for no limit; past it 429
    #[arg(long, default_value_t = 6000, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=6_000_000))]
    pub read_rate: u32,
    /// The same from one address; as many files besides
    #[arg(long, default_value_t = 120_000, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=6_000_000))]
    pub read_rate_per_address: u32,
    /// Reports per hour from one user, and as many at once; 0 for no limit; past it 429
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=6_000_000))]
    pub report_rate: u32,
    /// The same from one address
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=6_000_000))]
    pub report_rate_per_address: u32,
    /// Refused tokens and admin keys per minute from one address, and as many at once; 0 for no limit; past it 429 in place of 401. A good token is never refused for the bad ones beside it
    #[arg(long, default_value_t = 300, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=6_000_000))]
    pub failed_auth_rate: u32,
    /// Bytes per second that an upload has to keep up on average after its first half minute; 0 for none; past it it is dropped
    #[arg(long, default_value_t = 1024, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(0..=1_000_000_000))]
    pub min_upload_rate: u64,
    /// Seconds an upload may take in all; past it it is dropped
    #[arg(long, default_value_t = 3600, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub upload_timeout: u64,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use crate::config::Cli;

    #[test]
    fn the_list_of_flags_knows_every_limit_and_its_default() {
        let listed = include_str!("../../docs/flags.md");
        let mut seen = 0;
        for flag in Cli::command().get_arguments() {
            if flag.get_help_heading() != Some("Abuse") {
                continue;
            }
            let name = flag.get_long().unwrap_or_default();
            let default = flag.get_default_values()[0].to_string_lossy();
            let start = format!("| `--{}` | ", name.trim_end_matches("-per-address"));
            let row = listed.lines().find(|line| line.starts_with(&start));
            let row = row.unwrap_or_else(|| panic!("docs/flags.md has no row {start}"));
            let words: Vec<&str> = row.split(' ').collect();
            assert!(words.contains(&&*default), "{name} is {default}: {row}");
            seen += 1;
        }
        assert_eq!(seen, 22);
    }
}
