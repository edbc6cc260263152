//! Plain types that everything speaks: names and ids, servers, jobs, failures. No IO here.

pub mod catalogue;
pub mod dns;
pub mod failure;
pub mod grants;
pub mod job;
pub mod journal;
pub mod names;
pub mod secret;
pub mod server;
