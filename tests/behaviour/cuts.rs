//! Connections that are cut, and hosts that are killed, in the middle of a request or an answer:
//! what came of it is judged by what the other side has, and by how often it was made.
//!
//! An undisturbed run says how many bytes go each way; a seed chooses the bytes at which the others
//! are struck.

mod clouds;
mod commands;
mod names;

use tests::proxy::{Proxy, Strike};

/// What the bytes follow from.
const SEED: u64 = 29;

/// How many runs are struck: `few`, or `many` where there is time.
fn strikes(few: usize, many: usize, carried: (u64, u64)) -> Vec<Strike> {
    let is_slow = std::env::var_os("SLOW_TESTS").is_some();
    Strike::of_seed(SEED, if is_slow { many } else { few }, carried)
}

/// Whether the proxy wants somebody to be killed before this ends by itself.
async fn is_struck_before(proxy: &Proxy, strike: Option<Strike>, end: impl Future) -> bool {
    let stalls = strike.is_some_and(|strike| strike.harm == tests::proxy::Harm::Stall);
    tokio::select! {
        biased;
        () = proxy.struck(), if stalls => true,
        _ = end => false,
    }
}
