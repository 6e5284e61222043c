//! Jivbook chat.

pub mod engineio;
pub mod socketio;
