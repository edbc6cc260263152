//! What the tests share: fakes of the outside.

/// A Hetzner Cloud of our own.
pub mod fake_hetzner;
