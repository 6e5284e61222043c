//! Jivbook chat.

pub mod access;
pub mod auth;
pub mod chat;
pub mod config;
pub mod cors;
pub mod engineio;
pub mod id;
pub mod input;
pub mod journal;
pub mod limits;
pub mod model;
pub mod pet_document;
pub mod store;
pub mod view;
