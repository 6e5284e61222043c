//! Jivbook chat.

pub mod journal;
