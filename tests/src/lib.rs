//! What the tests share: fakes of the outside.

/// An agent's client.
pub mod agent;
/// What the official suite for agents' servers asks for.
pub mod agent_fixture;
/// Agents' clients that nobody here wrote.
pub mod agent_kit;
/// Apps made for tests.
pub mod apps;
/// A proxy that adds a token.
pub mod bearer_proxy;
/// One effect at a time, past any plugin.
pub mod bench;
/// What a job ran on servers.
pub mod commands;
/// Servers of a fake cloud that are doors to this machine.
pub mod doors;
/// Versions of a plugin that tells its own version.
pub mod echo;
/// What the fakes of clouds share.
pub mod fake_cloud;
/// A Cloudflare of our own.
pub mod fake_cloudflare;
/// A DigitalOcean of our own.
pub mod fake_digitalocean;
/// A Hetzner Cloud of our own.
pub mod fake_hetzner;
/// A Portainer of our own.
pub mod fake_portainer;
/// A registry of our own.
pub mod fake_registry;
/// Plugins that no compiler makes.
pub mod forge;
/// What is tried with bytes that nobody chose.
pub mod fuzz;
/// A host as its users have it: the real program.
pub mod host_process;
/// Changes that only a crash or a bad plugin makes.
pub mod journal;
/// A workshop in a process of its own, which can be killed.
pub mod killable;
/// Real machines: containers with a real cloud-init and a real sshd.
pub mod lab;
/// A TCP proxy that cuts connections.
pub mod proxy;
/// A real OCI registry.
pub mod registry;
/// A real sshd on a loopback port.
pub mod sshd;
/// A port that programs of this machine have in turn.
pub mod web_port;
/// The host's inside without its doors.
pub mod workshop;
