//! Plain types that everything speaks: names and ids, servers, jobs, failures. No IO here.

pub mod app;
pub mod catalogue;
pub mod dns;
pub mod failure;
pub mod grants;
pub mod job;
pub mod journal;
pub mod limits;
pub mod names;
pub mod plugin;
pub mod retry;
pub mod secret;
pub mod server;
pub mod standing;
