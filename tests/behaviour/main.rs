//! Behaviour at the door, a module a noun.

mod cli;
mod hetzner;
mod http;
mod sandbox;
mod architecture;
mod plugins;
mod main_job;
mod ssh;
