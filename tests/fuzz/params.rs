//! What people send as a job's parameters, and schemas that a stranger wrote.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tests::fuzz::{lay, parameters, params};

fuzz_target!(init: lay(parameters()), |bytes: &[u8]| params(bytes));
