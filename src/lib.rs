//! Jivbook chat.
