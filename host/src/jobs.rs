//! Durable jobs: a worker claims them from the store and runs each from its journal. It does not
//! know which operations there are.

pub mod receipts;
pub mod recovery;
pub mod retry;
pub mod run;
pub mod worker;
