//! The integration tests, in one binary: real sockets, in-process servers on free ports.
#![expect(
    clippy::unwrap_used,
    reason = "in a test, a panic with its line is the report"
)]

mod corpus;
mod engineio;
mod engineio_official;
mod socketio;
mod socketio_official;
mod support;
