//! Behaviour at the door, a module a noun.

mod architecture;
mod cli;
mod cloud_trouble;
mod digitalocean;
mod dns;
mod hetzner;
mod http;
mod main_job;
mod plugins;
mod sandbox;
mod secrets;
mod setup;
mod ssh;
