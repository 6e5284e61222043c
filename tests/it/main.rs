//! The integration tests, in one binary: real sockets, in-process servers on free ports.

mod engineio;
mod engineio_official;
mod socketio;
mod socketio_official;
mod support;
