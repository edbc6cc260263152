//! Windlass: a host that turns long, dangerous work on servers into durable jobs, each run by a
//! sandboxed WebAssembly component. The modules in the order in which a request passes them.

/// The verbs that all front ends share; owns everything.
pub mod app;
/// What a plugin may ask of the host.
pub mod capabilities;
/// Subcommands of the `windlass` program.
pub mod cli;
/// What the host is told at its start: flags, environment, home directory.
pub mod config;
/// Names in zones.
pub mod dns;
/// The one door to the outside.
pub mod effects;
/// What a caller is told when something fails.
pub mod error;
/// Files that are there whole or not at all.
mod files;
/// The REST API.
pub mod http;
/// Durable jobs: queue, worker, journal, replay.
pub mod jobs;
/// The door of agents: MCP.
pub mod mcp;
/// Plain types that everything speaks.
pub mod model;
/// Plugins in OCI registries.
pub mod oci;
/// HTTP requests that plugins send.
pub mod outbound;
/// Loading and running operations.
pub mod plugins;
/// Who runs servers.
pub mod providers;
/// Commands and files on servers.
pub mod ssh;
/// Groups of containers on servers.
pub mod stacks;
/// Where everything is kept.
pub mod storage;
/// Secrets at rest.
pub mod vault;
