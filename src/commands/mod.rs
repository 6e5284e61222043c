//! What the binary can be told to do; one file each.

mod banner;
mod healthcheck;
mod manual;
mod serve;
mod token;

pub use self::healthcheck::healthcheck;
pub use self::manual::{completions, man};
pub use self::serve::serve;
pub use self::token::token;
