//! What the tests share: fakes of the outside.

/// What the fakes of clouds share.
pub mod fake_cloud;
/// A Cloudflare of our own.
pub mod fake_cloudflare;
/// A DigitalOcean of our own.
pub mod fake_digitalocean;
/// A Hetzner Cloud of our own.
pub mod fake_hetzner;
/// A host as its users have it: the real program.
pub mod host_process;
/// Changes that only a crash or a bad plugin makes.
pub mod journal;
/// Real machines: containers with a real cloud-init and a real sshd.
pub mod lab;
/// A TCP proxy that cuts connections.
pub mod proxy;
/// A real sshd on a loopback port.
pub mod sshd;
/// The host's inside without its doors.
pub mod workshop;
