//! The one integration binary: what the whole server does, seen from outside, and how its source is allowed to hang together.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets something unexpected has failed, and the panic says where"
)]

mod architecture;
mod chat;
