//! Jivbook chat.

pub mod auth;
pub mod chat;
pub mod id;
pub mod journal;
pub mod media;
pub mod model;
pub mod store;
