//! What the tests share: fakes of the outside.

/// A Hetzner Cloud of our own.
pub mod fake_hetzner;
/// A host as its users have it: the real program.
pub mod host_process;
/// Changes that only a crash or a bad plugin makes.
pub mod journal;
/// The host's inside without its doors.
pub mod workshop;
/// Real machines: containers with a real cloud-init and a real sshd.
pub mod lab;
/// A TCP proxy that cuts connections.
pub mod proxy;
/// A real sshd on a loopback port.
pub mod sshd;
