//! What the fakes of clouds share: how requests arrive, what goes wrong with them, how time passes,
//! and what stands behind the servers.

mod connection;
mod faults;
mod fingerprint;
mod machines;
mod query;
mod reception;

use std::time::Duration;

pub(crate) use self::faults::Trouble;
pub use self::faults::{Fault, Harm};
pub(crate) use self::fingerprint::fingerprint;
pub use self::machines::{Machines, Nowhere};
pub(crate) use self::query::Query;
pub(crate) use self::reception::{Manners, Reception, bearer, put_limit, serve};

/// How long an action goes on.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// It runs for so many looks at it and has ended at the next.
    Looks(u32),
    /// It has ended after this time.
    Time(Duration),
}

/// The time as the APIs write it.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
