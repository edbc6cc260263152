//! Windlass: a host that turns long, dangerous work on servers into durable jobs, each run by a
//! sandboxed WebAssembly component. The modules in the order in which a request passes them.

/// What the host is told at its start: flags, environment, home directory.
pub mod config;
/// Subcommands of the `windlass` program.
pub mod cli;
/// The REST API.
pub mod http;
/// The verbs that all front ends share; owns everything.
pub mod app;
/// What a caller is told when something fails.
pub mod error;
/// Durable jobs: queue, worker, journal, replay.
pub mod jobs;
/// Loading and running operations.
pub mod plugins;
/// What a plugin may ask of the host.
pub mod capabilities;
/// The one door to the outside.
pub mod effects;
/// Who runs servers.
pub mod providers;
/// Commands and files on servers.
pub mod ssh;
/// Secrets at rest.
pub mod vault;
/// Where everything is kept.
pub mod storage;
/// Plain types that everything speaks.
pub mod model;
