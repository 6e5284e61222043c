//! The integration tests, in one binary: what the whole server does, seen from outside over real sockets on free ports, and how
//! its source is allowed to hang together.
#![expect(
    clippy::unwrap_used,
    reason = "a test that meets something unexpected has failed, and the panic says where"
)]

mod architecture;
mod chat;
mod corpus;
mod engineio;
mod engineio_official;
mod manual;
mod packaging;
mod socketio;
mod socketio_official;
mod storage;
mod support;
