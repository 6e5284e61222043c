//! What is counted while the server works, in memory and of a fixed size. Whoever sees a thing happen says so here; whoever shows
//! figures reads them here. What others count already (connections, sessions, rows) is not counted again.

mod figures;
mod histogram;
mod process;
mod slow;
mod volume;

pub use self::figures::{Figures, Latency, Snapshot, TopChat, Totals};
pub use self::histogram::{Durations, Histogram};
pub use self::process::Process;
pub use self::slow::{SlowThreshold, millis};
pub use self::volume::Volume;

/// Where somebody was told no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edge {
    /// An HTTP request.
    Rest,
    /// An event of a connected socket.
    Socket,
    /// A socket that wanted to connect.
    Connect,
}

impl Edge {
    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Socket => "socket",
            Self::Connect => "connect",
        }
    }
}
