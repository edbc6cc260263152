//! The `job` interface: steps, progress, log. None of it waits, but for a database that is far
//! behind.

use std::time::Duration;

use bindings::windlass::plugin::job::{Host, Level};
use bindings::windlass::plugin::types::Failure;
use wasmtime::Result;

use crate::capabilities::Capabilities;
use crate::effects::sleep::Sleep;
use crate::model::journal::LogLevel;

/// The longest name of a step, in characters.
const LONGEST_STEP: usize = 200;

/// The most steps of a plan.
const MOST_STEPS: usize = 100;

/// How often the bytes of a plan count: each is read and sent again to everybody who watches.
const PLAN_COUNTS: usize = 8;

impl Host for Capabilities {
    fn id(&mut self) -> Result<String> {
        self.count()?;
        // A retry that takes its predecessor's outcomes must be told what that one was told.
        Ok(self.job.record.root.to_string())
    }

    async fn plan(&mut self, steps: Vec<String>) -> Result<()> {
        self.count()?;
        let steps: Vec<String> =
            steps.into_iter().take(MOST_STEPS).map(|step| short(&step)).collect();
        self.count_bytes(PLAN_COUNTS * steps.iter().map(String::len).sum::<usize>())?;
        self.job.journal().plan(steps);
        self.catch_up().await
    }

    async fn step(&mut self, name: String) -> Result<()> {
        self.count()?;
        let name = short(&name);
        self.count_bytes(name.len())?;
        self.job.journal().step(name);
        self.catch_up().await
    }

    async fn progress(&mut self, percent: u8) -> Result<()> {
        self.count()?;
        self.job.journal().progress(percent);
        self.catch_up().await
    }

    async fn log(&mut self, level: Level, message: String) -> Result<()> {
        self.count()?;
        let level = match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        self.job.log(level, &message);
        self.catch_up().await
    }

    async fn sleep(&mut self, milliseconds: u64) -> Result<std::result::Result<(), Failure>> {
        self.perform(Sleep(Duration::from_millis(milliseconds))).await
    }

    fn cancelled(&mut self) -> Result<bool> {
        self.count()?;
        Ok(self.job.knows_of_cancel())
    }
}

impl Capabilities {
    fn count(&self) -> Result<()> {
        self.job.count_call().map_err(|stop| self.end(stop))
    }

    fn count_bytes(&self, bytes: usize) -> Result<()> {
        self.job.count_bytes(bytes).map_err(|stop| self.end(stop))
    }

    async fn catch_up(&self) -> Result<()> {
        self.job.catch_up().await.map_err(|stop| self.end(stop))
    }
}

fn short(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(LONGEST_STEP).collect()
}
