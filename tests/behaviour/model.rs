//! The job's states, the protocol of leases and fencing, and what jobs write of apps and their
//! secrets, as a model: whatever many workers, kills and power cuts do, the store says what the
//! model says, and no job is stuck.
//!
//! Sequences of steps are made, and made smaller when one fails, by `proptest-state-machine`. They
//! run against the real store, which an exhaustive checker of models alone would not do. CI runs
//! the same ones each time; `SLOW_TESTS` runs more, and `PROPTEST_RNG_SEED` and `PROPTEST_CASES`
//! choose others.

mod apps;
mod reference;
mod system;

use proptest::test_runner::{Config, RngSeed};
use proptest_state_machine::prop_state_machine;

use self::system::Host;

/// What CI's sequences follow from.
const SEED: u64 = 20_261_129;

fn config() -> Config {
    let is_told = |name: &str| std::env::var_os(name).is_some();
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if !is_told("PROPTEST_RNG_SEED") {
        config.rng_seed = RngSeed::Fixed(SEED);
    }
    if !is_told("PROPTEST_CASES") {
        config.cases = if is_told("SLOW_TESTS") { 1_500 } else { 60 };
    }
    config
}

prop_state_machine! {
    #![proptest_config(config())]

    #[test]
    fn whatever_happens_the_store_says_what_the_model_says(sequential 20..60 => Host);
}
