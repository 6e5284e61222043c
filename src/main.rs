//! The `jivchat` binary.
fn main() {}
