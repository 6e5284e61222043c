//! Jivbook chat.

pub mod engineio;
