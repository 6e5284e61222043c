//! What the binary can be told to do; one file each.

mod backup;
mod banner;
mod compact;
mod download;
mod healthcheck;
mod manual;
mod restore;
mod serve;
mod stats;
mod token;
mod verify;

pub use self::backup::backup;
pub use self::compact::compact;
pub use self::healthcheck::healthcheck;
pub use self::manual::{completions, man};
pub use self::restore::restore;
pub use self::serve::serve;
pub use self::stats::stats;
pub use self::token::token;
pub use self::verify::verify;
