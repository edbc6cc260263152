//! Behaviour at the door, a module a noun.

mod architecture;
mod cli;
mod cloud_trouble;
mod hetzner;
mod http;
mod main_job;
mod plugins;
mod sandbox;
mod ssh;
