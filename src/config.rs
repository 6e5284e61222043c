//! Every flag: its variable, its default, its range. Only `server` and the commands read this.

mod abuse;
mod backend;
mod environment;
mod ranges;
mod subnet;
mod tls;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

pub use self::abuse::Abuse;
pub use self::backend::Backend;
pub use self::subnet::Subnet;
pub use self::tls::Tls;

/// A chat server for pet marketplaces: REST and Socket.IO in one binary, nothing beside it.
#[derive(Debug, Parser)]
#[command(
    name = "jivchat",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "A variable that is empty counts as not set."
)]
pub struct Cli {
    /// What to do; `serve` when left out.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of `serve`.
    #[command(flatten)]
    pub serve: Serve,
}

/// Every command and flag, for who describes them.
pub fn command() -> clap::Command {
    ranges::described(Cli::command())
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server (the default)
    Serve(Box<Serve>),
    /// Print a token for a user, signed with the server's secret
    Token(Box<Token>),
    /// Ask a running server whether it is well; exit code 0 if so
    Healthcheck(Healthcheck),
    /// Tell whether the server would start with these flags, without starting it or changing anything. Exit code 0 if so, 1 if not, 2 for wrong flags
    Check(Box<Check>),
    /// Check a stopped server's data: the journal, every counter and index, the size and checksum of every file. Exit code 0 if all is well, 1 if anything is wrong or could not be checked, 2 for wrong flags
    Verify(Offline),
    /// Make a stopped server's data small: one row for each thing there is, no byte of what was deleted
    Compact(Offline),
    /// Tell how much a stopped server has stored
    Stats(Offline),
    /// Copy a server's data, files included, into a new directory; the server may be running and goes on. Exit code 1 if there is no backup, or if it carries problems
    Backup(Backup),
    /// Put a backup into new directories, from which a server then starts. Exit code 1 if nothing was restored, or if it carries problems
    Restore(Restore),
    /// Write a stopped server's data as lines of JSON, or what one person or chat has as JSON, HTML or text
    Export(Export),
    /// Take an export, or what mongoexport wrote of a Mongo database that ran the chat before, into a stopped server's data
    Import(Import),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print the manual page in roff, or write one for each command
    Man(Man),
}

/// Flags of the server.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// Try it out: demo users and pets, tokens printed, a chat page at /. Everybody who reaches the page can be any demo user: keep it on loopback
    #[arg(long)]
    pub demo: bool,

    /// The chat page at /: on with --demo, else off. Without --demo it asks for a token, or takes it from /#token=…
    #[arg(long, value_enum, value_name = "ON|OFF")]
    pub web_ui: Option<Switch>,

    /// Network flags.
    #[command(flatten)]
    pub network: Network,
    /// Flags of https.
    #[command(flatten)]
    pub tls: Tls,
    /// Token flags.
    #[command(flatten)]
    pub tokens: Tokens,
    /// Admin flags.
    #[command(flatten)]
    pub admin: Admin,
    /// Flags of an existing backend.
    #[command(flatten)]
    pub backend: Backend,
    /// Storage flags.
    #[command(flatten)]
    pub storage: Storage,
    /// Flags of the chat's rules.
    #[command(flatten)]
    pub rules: Rules,
    /// Flags against abuse.
    #[command(flatten)]
    pub abuse: Abuse,
    /// Protocol flags.
    #[command(flatten)]
    pub protocol: Protocol,
    /// Log flags.
    #[command(flatten)]
    pub log: Log,
}

/// Where to listen and for whom.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Network")]
pub struct Network {
    /// Address to listen on; 0.0.0.0 for all
    #[arg(long, default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// Port to listen on; 0 picks a free one, which is printed
    #[arg(long, env = "PORT", default_value_t = 3010)]
    pub port: u16,
    /// Origins that browsers may call from, separated by commas; * for any. Pages served from this host always may
    #[arg(
        long,
        env = "SOCKET_IO_CORS_ORIGIN",
        value_delimiter = ',',
        value_name = "ORIGIN",
        value_parser = parse_origin
    )]
    pub cors_origin: Vec<String>,
    /// Open TCP connections in total; past it new ones wait in the backlog
    #[arg(long, default_value_t = 20_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,
    /// Open TCP connections from one address (of IPv6, one network of 64 bits), loopback and trusted proxies excepted; past it new ones are closed
    #[arg(long, default_value_t = 512, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections_per_address: u32,
    /// Proxy whose X-Forwarded-For is believed, as an address or a network such as 10.0.0.0/8; repeat it or separate them by commas. Without it the address that connects is the client's
    #[arg(long, value_delimiter = ',', value_name = "NETWORK")]
    pub trusted_proxy: Vec<Subnet>,
    /// Seconds a client has for its TLS handshake and for the head of each request, the wait for it included; past it the connection is closed
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=300))]
    pub header_timeout: u64,
    /// Seconds that requests and sockets get to finish when the server stops
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=11))]
    pub shutdown_grace: u64,
}

/// Who may call.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Tokens")]
pub struct Tokens {
    /// Secret of the HS256 tokens, at least 32 bytes; repeat it to accept older ones too. Prefer the file: flags are visible to other users
    #[arg(
        long,
        env = "JWT_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub jwt_secret: Vec<String>,
    /// File that holds the secret; repeat it to accept older ones too. Files come before flags, and the first secret signs
    #[arg(long, value_name = "FILE")]
    pub jwt_secret_file: Vec<PathBuf>,
    /// File with a public key in PEM (RSA for RS256, P-256 for ES256, Ed25519); repeat it to accept several. Without a secret beside it HS256 is refused
    #[arg(long, value_name = "FILE")]
    pub jwt_public_key_file: Vec<PathBuf>,
    /// File with a JWK set of such keys, read again when it changes and on SIGHUP
    #[arg(long, value_name = "FILE")]
    pub jwks_file: Option<PathBuf>,
    /// Accept a secret under 32 bytes, for a host that has one already
    #[arg(long)]
    pub allow_weak_secret: bool,
    /// Accept tokens that never end
    #[arg(long)]
    pub allow_tokens_without_exp: bool,
    /// Refuse users about whom the host has told nothing, even with a good token
    #[arg(long)]
    pub require_known_users: bool,
}

impl Tokens {
    /// Whether a secret is named, by flag, variable or file.
    pub fn gives_secret(&self) -> bool {
        !self.jwt_secret.is_empty() || !self.jwt_secret_file.is_empty()
    }

    /// Whether the server can check tokens and has nothing to sign them with.
    pub fn verifies_only(&self) -> bool {
        let has_keys = !self.jwt_public_key_file.is_empty() || self.jwks_file.is_some();
        has_keys && !self.gives_secret()
    }
}

/// The host application's own access.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Admin")]
pub struct Admin {
    /// Key of the admin API, best 16 random bytes or more: a shorter one is warned about; without one there is no admin API. Prefer the file: flags are visible to other users
    #[arg(long, env = "ADMIN_KEY", hide_env_values = true, value_name = "KEY")]
    pub admin_key: Option<String>,
    /// File that holds the key of the admin API
    #[arg(long, value_name = "FILE", conflicts_with = "admin_key")]
    pub admin_key_file: Option<PathBuf>,
    /// Longest life in seconds of a token made by the admin API; past it 400
    #[arg(long, default_value_t = 86_400, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=315_360_000))]
    pub max_token_ttl: u64,
    /// Size of the audit log in MiB: who looked into which conversation, who banned or erased whom; past it the oldest half goes
    #[arg(long, default_value_t = 16, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub audit_size: u64,
}

/// Where things are kept.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Storage")]
pub struct Storage {
    /// Directory of the journal, the index and, unless told otherwise, the media and the token secret
    #[arg(long, default_value = "./data", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Page cache of the index, in MiB; the process uses two to three times as much under load
    #[arg(long, default_value_t = 64, value_name = "MIB", value_parser = clap::value_parser!(u64).range(8..=65_536))]
    pub cache_size: u64,
    /// Compact the journal and the index once the journal has grown by this many times its size after the last compaction; 0 for never [from 0 to 1000]
    #[arg(long, default_value_t = 1.0, value_name = "RATIO", value_parser = ratio)]
    pub compact_ratio: f64,
    /// Never compact a journal below this size, in MiB
    #[arg(long, default_value_t = 256, value_name = "MIB", value_parser = clap::value_parser!(u64).range(0..=1_048_576))]
    pub compact_min_size: u64,
    /// Directory of uploaded pictures and videos; media/ in the data directory when left out
    #[arg(long, env = "CHAT_MEDIA_PATH", value_name = "DIR")]
    pub media_path: Option<PathBuf>,
    /// Largest upload in bytes; past it 413
    #[arg(long, env = "MAX_FILE_SIZE", default_value_t = 52_428_800, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1024..))]
    pub max_file_size: u64,
    /// Uploads at once; past it 503 with Retry-After
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub max_uploads: u16,
    /// Uploads of one user at once; past it 503 with Retry-After
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub max_uploads_per_user: u16,
    /// Seconds an upload may stand still; past it it is dropped
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub upload_idle_timeout: u64,
    /// Bytes of files that one user may have in messages; 0 for no limit; past it 413
    #[arg(long, default_value_t = 2_147_483_648, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(0..=1_000_000_000_000_000))]
    pub media_quota: u64,
    /// Keep what cameras write into files, which is where and when they were made; without it only the picture stays, the right way up
    #[arg(long)]
    pub keep_exif: bool,
    /// Disk for thumbnails, in MiB; past it those that were not asked for longest are made anew when they are
    #[arg(long, default_value_t = 256, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub thumbnail_cache: u64,
    /// Memory for the making of one thumbnail, in MiB, of which one is made at a time; past it the picture has none: 415
    #[arg(long, default_value_t = 192, value_name = "MIB", value_parser = clap::value_parser!(u64).range(8..=65_536))]
    pub thumbnail_memory: u64,
    /// Give files only to participants of their chat; without it the random name is the key
    #[arg(long)]
    pub private_media: bool,
    /// Days after which a message loses its content, picture or video; 0 keeps it for ever
    #[arg(long, default_value_t = 0, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub retain_days: u32,
    /// Days after which a message loses its picture or video and keeps its text; 0 keeps them for ever
    #[arg(long, default_value_t = 0, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub media_retain_days: u32,
    /// Hours after which a file in the media directory that no message shows is removed; 0 for never
    #[arg(long, default_value_t = 24, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(0..=87_600))]
    pub orphan_hours: u32,
}

/// What the chat allows.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Chat")]
pub struct Rules {
    /// Fetching a page of messages marks them read
    #[arg(long)]
    pub mark_read_on_fetch: bool,
    /// Messages a user may send per minute on average; 0 for no limit; past it 429
    #[arg(long, default_value_t = 300, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=6_000_000))]
    pub message_rate: u32,
    /// Messages a user may send at once after a pause
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub message_burst: u32,
    /// Turn every rate limit off
    #[arg(long)]
    pub no_rate_limit: bool,
    /// Seconds for which a user whose last connection was lost is still shown as online; 0 for none
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=300))]
    pub offline_grace: u64,
}

/// Engine.IO and Socket.IO.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Protocol")]
pub struct Protocol {
    /// Transports to offer, separated by commas
    #[arg(
        long,
        env = "SOCKET_IO_TRANSPORTS",
        value_delimiter = ',',
        default_value = "websocket,polling",
        value_name = "LIST"
    )]
    pub transports: Vec<TransportName>,
    /// Milliseconds between pings
    #[arg(long, default_value_t = 25_000, value_name = "MS", value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub ping_interval: u64,
    /// Milliseconds to wait for a pong before the session is closed
    #[arg(long, default_value_t = 20_000, value_name = "MS", value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub ping_timeout: u64,
    /// Milliseconds a polling session has to finish its upgrade; past it the session stays on polling
    #[arg(long, default_value_t = 10_000, value_name = "MS", value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub upgrade_timeout: u64,
    /// Milliseconds a session has to connect with a token; past it it is closed
    #[arg(long, default_value_t = 20_000, value_name = "MS", value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub connect_timeout: u64,
    /// Milliseconds a client has to send the body of a POST; past it 408 and the session is closed
    #[arg(long, default_value_t = 10_000, value_name = "MS", value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub body_timeout: u64,
    /// Milliseconds a client has to send the attachments of a packet; past it the session is closed
    #[arg(long, default_value_t = 10_000, value_name = "MS", value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub attachment_timeout: u64,
    /// Largest packet or polling body in bytes; past it the session is closed
    #[arg(long, default_value_t = 1_000_000, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1024..=100_000_000))]
    pub max_payload: u32,
    /// Sessions at once that have not connected with a token; past it the oldest makes room, or 503 while that one is younger than a second
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_unauthenticated: u32,
    /// Sessions at once from one address (of IPv6, one network of 64 bits), loopback excepted; past it 503
    #[arg(long, default_value_t = 512, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_sessions_per_address: u32,
    /// Events per second from one socket, twice as many after a pause; 0 for no limit; past it the socket is read more slowly
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub max_events_per_second: u32,
    /// Bytes per second from one socket, twice as many after a pause; 0 for no limit; past it the socket is read more slowly
    #[arg(long, default_value_t = 1_000_000, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(0..=1_000_000_000))]
    pub max_bytes_per_second: u32,
    /// Packets in one polling body; past it 413 and the session is closed
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(16..=100_000))]
    pub max_packets_per_post: u32,
    /// Frames that one websocket message may be split into; past it the session is closed
    #[arg(long, default_value_t = 1024, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_fragments: u32,
    /// Binary attachments of one packet, of which the chat's events have none; past it the session is closed
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=10))]
    pub max_attachments: u32,
    /// Bytes in the name of a namespace; past it the session is closed
    #[arg(long, default_value_t = 256, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub max_namespace_length: u32,
    /// Bytes in the name of an event; past it the session is closed
    #[arg(long, default_value_t = 256, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(16..=65_536))]
    pub max_event_name_length: u32,
    /// Arrays and objects inside each other in a packet; past it the session is closed
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(4..=120))]
    pub max_json_depth: u32,
    /// Packets that may wait for one client; past it it is closed as a slow consumer
    #[arg(long, default_value_t = 1024, value_name = "N", value_parser = clap::value_parser!(u32).range(16..=1_000_000))]
    pub max_outbound_packets: u32,
    /// Bytes that may wait for one client; past it it is closed as a slow consumer
    #[arg(long, default_value_t = 4_194_304, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(65_536..=1_000_000_000))]
    pub max_outbound_bytes: u32,
    /// Seconds in which a client that lost its connection gets its socket back, with the events it missed; 0 for never
    #[arg(long, default_value_t = 120, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub recovery_window: u64,
    /// Events kept for clients that come back; past it the oldest goes, and who missed it gets a new socket
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub recovery_max_events: u32,
    /// Bytes of the events kept for clients that come back; past it the oldest goes, and who missed it gets a new socket
    #[arg(long, default_value_t = 67_108_864, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(65_536..=4_000_000_000))]
    pub recovery_max_bytes: u32,
    /// Lost sockets kept for clients that come back; past it the oldest goes
    #[arg(long, default_value_t = 20_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub recovery_max_sockets: u32,
    /// Events a client may have missed to get its socket back; past it it gets a new one
    #[arg(long, default_value_t = 500, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub recovery_max_missed: u32,
}

/// What is logged and how.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Log")]
pub struct Log {
    /// Form of the log lines, on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Pretty, value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// What to log: error, warn, info, debug, trace, or a filter such as `info,jivchat::store=debug`
    #[arg(
        long,
        env = "JIVCHAT_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    pub log: String,
    /// Milliseconds from which on a request, an event of a socket or a commit is logged as slow, with what it was; 0 for never. The time in which a client sends or waits for events is not counted
    #[arg(long, default_value_t = 1000, value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=3_600_000))]
    pub slow_operation: u64,
}

/// `*`, nothing, or scheme, host and perhaps port: what a browser sends as `Origin`.
fn parse_origin(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text == "*" || text.contains("://") {
        Ok(text.to_owned())
    } else {
        Err(
            "an origin is scheme://host or scheme://host:port, such as https://www.example.com"
                .to_owned(),
        )
    }
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// Form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For a person.
    Pretty,
    /// One JSON object per line.
    Json,
}

/// A transport, by its name on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TransportName {
    /// HTTP long-polling.
    Polling,
    /// Websocket.
    Websocket,
}

/// Flags of `check`.
#[derive(Debug, Clone, Args)]
pub struct Check {
    /// The flags that the server is to have.
    #[command(flatten)]
    pub serve: Serve,
    /// Print one JSON object instead of lines for a person
    #[arg(long)]
    pub json: bool,
}

/// Flags of `token`.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Token {
    /// What else to do with tokens
    #[command(subcommand)]
    pub action: Option<TokenAction>,
    /// The user's id
    #[arg(long, required = true)]
    pub id: Option<crate::id::UserId>,
    /// Display name
    #[arg(long)]
    pub name: Option<String>,
    /// E-mail address
    #[arg(long)]
    pub email: Option<String>,
    /// Path or URL of the avatar
    #[arg(long)]
    pub picture: Option<String>,
    /// Seconds until the token ends
    #[arg(long, default_value_t = 604_800, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=315_360_000))]
    pub ttl: u64,
    /// Token flags of the server
    #[command(flatten)]
    pub tokens: Tokens,
    /// Data directory of the server, for its secret
    #[arg(long, default_value = "./data", value_name = "DIR")]
    pub data_dir: PathBuf,
}

/// What `token` can be told to do besides.
#[derive(Debug, Clone, Subcommand)]
pub enum TokenAction {
    /// Print what a token says, and whether a server with these keys takes it, and if not why. Exit code 0 if so, 1 if not, 2 for wrong flags
    Inspect(InspectToken),
}

/// Flags of `token inspect`.
#[derive(Debug, Clone, Args)]
pub struct InspectToken {
    /// The token; standard input when left out or -
    pub token: Option<String>,
    /// Token flags of the server
    #[command(flatten)]
    pub tokens: Tokens,
    /// Data directory of the server, for its secret
    #[arg(long, default_value = "./data", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Print one JSON object instead of lines for a person
    #[arg(long)]
    pub json: bool,
}

/// Flags of `healthcheck`.
#[derive(Debug, Clone, Args)]
pub struct Healthcheck {
    /// Address of the server
    #[arg(long, default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// Port of the server
    #[arg(long, env = "PORT", default_value_t = 3010)]
    pub port: u16,
    /// Speak https, as to a server with --tls-cert. Its certificate is not checked: it is made out for another name than this address, nothing secret is said, and one that has ended is no reason to start the server again
    #[arg(long)]
    pub tls: bool,
}

/// Flags of the commands that need a data directory for themselves.
#[derive(Debug, Clone, Args)]
pub struct Offline {
    /// Data directory of the server
    #[arg(long, default_value = "./data", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Directory of uploaded pictures and videos; media/ in the data directory when left out
    #[arg(long, env = "CHAT_MEDIA_PATH", value_name = "DIR")]
    pub media_path: Option<PathBuf>,
    /// Page cache of the index, in MiB
    #[arg(long, default_value_t = 64, value_name = "MIB", value_parser = clap::value_parser!(u64).range(8..=65_536))]
    pub cache_size: u64,
    /// Print one JSON object instead of lines for a person
    #[arg(long)]
    pub json: bool,
}

/// Flags of `backup`.
#[derive(Debug, Clone, Args)]
pub struct Backup {
    /// Where to: a directory that is new or empty
    #[arg(value_name = "DEST")]
    pub to: PathBuf,
    /// What to back up.
    #[command(flatten)]
    pub from: Offline,
    /// Back up this server over its admin API instead, also from another machine: <https://HOST>, or <http://HOST:PORT>
    #[arg(long, value_name = "URL", conflicts_with = "data_dir")]
    pub server: Option<String>,
    /// File with certificates in PEM to trust for https, in place of the public ones
    #[arg(long, value_name = "FILE", requires = "server")]
    pub server_ca_file: Option<PathBuf>,
    /// The key for that.
    #[command(flatten)]
    pub admin: Admin,
}

/// Flags of `restore`.
#[derive(Debug, Clone, Args)]
pub struct Restore {
    /// The backup
    #[arg(value_name = "SRC")]
    pub from: PathBuf,
    /// Where to: directories that are new or empty.
    #[command(flatten)]
    pub to: Offline,
}

/// Flags of `export`.
#[derive(Debug, Clone, Args)]
pub struct Export {
    /// File to write, readable by its owner alone; - for standard output
    #[arg(default_value = "-", value_name = "OUT")]
    pub out: PathBuf,
    /// Only this person: their profile and their chats with everything said in them
    #[arg(long, value_name = "ID", conflicts_with = "chat")]
    pub user: Option<crate::id::UserId>,
    /// Only this chat
    #[arg(long, value_name = "ID")]
    pub chat: Option<crate::id::ChatId>,
    /// Form of the output; everything can only be ndjson, which is what `import` reads
    #[arg(long, value_enum, default_value_t = ExportFormat::Ndjson, value_name = "FORMAT")]
    pub format: ExportFormat,
    /// Copy the pictures and videos of what is exported to this directory
    #[arg(long, value_name = "DIR")]
    pub media: Option<PathBuf>,
    /// Where the data is.
    #[command(flatten)]
    pub data: Offline,
}

/// Form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One JSON object a line, loss-free
    Ndjson,
    /// One JSON document, in the shapes of the API
    Json,
    /// One page that needs nothing else
    Html,
    /// Plain text
    Text,
}

/// Flags of `import`.
#[derive(Debug, Clone, Args)]
pub struct Import {
    /// Exports, files of mongoexport, or directories of them
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// What the documents of mongoexport are, where neither file names nor fields tell
    #[arg(long, value_enum, value_name = "KIND")]
    pub kind: Option<ImportKind>,
    /// Field of a pet's document that names its seller
    #[arg(long, default_value = "owner", value_name = "FIELD")]
    pub pet_owner: String,
    /// Directory of the files that messages show: the original's `uploads/chat_media`, or what `export --media` copied
    #[arg(long, value_name = "DIR")]
    pub media: Option<PathBuf>,
    /// Keep what cameras wrote into the original's files, as `serve --keep-exif` does; what `export --media` copied is never changed
    #[arg(long)]
    pub keep_exif: bool,
    /// Leave bad rows out; else one of them is enough to change nothing
    #[arg(long)]
    pub skip_bad: bool,
    /// Read and judge everything, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Where to.
    #[command(flatten)]
    pub data: Offline,
}

/// What the documents of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "they are the names of the collections")]
pub enum ImportKind {
    Users,
    Pets,
    Chats,
    Messages,
}

/// Flags of `completions`.
#[derive(Debug, Clone, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Flags of `man`.
#[derive(Debug, Clone, Args)]
pub struct Man {
    /// Write the pages of all commands into this directory instead: jivchat.1, jivchat-serve.1 and so on
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

fn ratio(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(ratio) if (0.0..=1000.0).contains(&ratio) => Ok(ratio),
        _ => Err("give a number from 0 to 1000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_limit_of_the_protocol_has_a_range() {
        for (flag, smallest, largest) in [
            ("--ping-interval", 100, 3_600_000),
            ("--ping-timeout", 100, 3_600_000),
            ("--upgrade-timeout", 100, 3_600_000),
            ("--connect-timeout", 100, 3_600_000),
            ("--body-timeout", 100, 3_600_000),
            ("--attachment-timeout", 100, 3_600_000),
            ("--max-payload", 1024, 100_000_000),
            ("--max-unauthenticated", 1, 1_000_000),
            ("--max-sessions-per-address", 1, 1_000_000),
            ("--max-events-per-second", 0, 1_000_000),
            ("--max-bytes-per-second", 0, 1_000_000_000),
            ("--max-packets-per-post", 16, 100_000),
            ("--max-fragments", 1, 100_000),
            ("--max-attachments", 0, 10),
            ("--max-namespace-length", 1, 65_536),
            ("--max-event-name-length", 16, 65_536),
            ("--max-json-depth", 4, 120),
            ("--max-outbound-packets", 16, 1_000_000),
            ("--max-outbound-bytes", 65_536, 1_000_000_000),
            ("--recovery-window", 0, 86_400),
            ("--recovery-max-events", 1, 10_000_000),
            ("--recovery-max-bytes", 65_536, 4_000_000_000),
            ("--recovery-max-sockets", 1, 1_000_000),
            ("--recovery-max-missed", 1, 100_000),
        ] {
            let given = |value: i64| {
                Cli::try_parse_from(["jivchat".to_owned(), format!("{flag}={value}")]).is_ok()
            };
            assert!(given(smallest) && given(largest), "{flag}");
            assert!(!given(smallest - 1) && !given(largest + 1), "{flag}");
            let help = Cli::command().render_long_help().to_string();
            assert!(help.contains(flag), "{flag} has no help");
        }
    }

    #[test]
    fn the_documentation_knows_every_limit_of_the_protocol_and_its_default() {
        let documented = include_str!("../docs/flags.md");
        for flag in Cli::command().get_arguments() {
            if flag.get_help_heading() != Some("Protocol") || flag.get_id() == "transports" {
                continue;
            }
            let name = flag.get_long().unwrap_or_default();
            let default = flag.get_default_values()[0].to_string_lossy();
            let row = format!("| `--{name}` | {default} | ");
            assert!(documented.contains(&row), "docs/flags.md has no {row}");
        }
    }

    #[test]
    fn serve_is_the_default() {
        let bare = Cli::parse_from(["jivchat", "--port", "0", "--demo"]);
        assert!(bare.command.is_none() && bare.serve.demo && bare.serve.network.port == 0);
        let named = Cli::parse_from(["jivchat", "serve", "--port", "0"]);
        assert!(matches!(named.command, Some(Command::Serve(serve)) if serve.network.port == 0));
    }
}
