//! What the binary can be told to do; one file each.

mod backup;
mod banner;
mod check;
mod compact;
mod download;
mod export;
mod healthcheck;
mod https;
mod import;
mod manual;
mod output;
mod restore;
mod serve;
mod stats;
mod supervisor;
mod token;
mod verify;

pub use self::backup::backup;
pub use self::check::check;
pub use self::compact::compact;
pub use self::export::export;
pub use self::healthcheck::healthcheck;
pub use self::import::import;
pub use self::manual::{completions, man};
pub use self::restore::restore;
pub use self::serve::serve;
pub use self::stats::stats;
pub use self::token::token;
pub use self::verify::verify;
