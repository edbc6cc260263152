//! The part of WASI 0.2 that a guest may import: virtual clocks, seeded randomness, standard
//! output. Files and sockets are not linked, so a component that wants them is refused by name.

use std::sync::Arc;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime::{Engine, Result, bail};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::{cli, random};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi_io::bindings::wasi::io::{error, poll, streams};

use crate::guest::{Clock, Guest};

/// A linker that has WASI and nothing else.
///
/// # Errors
/// When two interfaces define the same function, which is a mistake in this file.
pub fn wasi_linker(engine: &Engine) -> Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    error::add_to_linker::<Guest, Io>(l, |guest| &mut guest.table)?;
    streams::add_to_linker::<Guest, Io>(l, |guest| &mut guest.table)?;
    poll::add_to_linker::<Guest, OneAtATime>(l, |guest| Polls(&mut guest.table))?;
    wall_clock::add_to_linker::<Guest, JournaledTime>(l, Time::of)?;
    monotonic_clock::add_to_linker::<Guest, JournaledTime>(l, Time::of)?;
    random::random::add_to_linker::<Guest, WasiRandom>(l, |guest| guest.ctx().ctx.random())?;
    random::insecure::add_to_linker::<Guest, WasiRandom>(l, |guest| guest.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<Guest, WasiRandom>(l, |g| g.ctx().ctx.random())?;
    cli::environment::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::exit::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stdin::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stdout::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stderr::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_input::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_output::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stdin::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stdout::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stderr::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    Ok(linker)
}

struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

struct OneAtATime;

impl HasData for OneAtATime {
    type Data<'a> = Polls<'a>;
}

/// Polls one thing at a time: which of several is ready first would differ in a replay.
struct Polls<'a>(&'a mut ResourceTable);

impl poll::Host for Polls<'_> {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> Result<Vec<u32>> {
        if pollables.len() > 1 {
            bail!("a plugin may wait for one thing at a time, and waits for {}", pollables.len());
        }
        poll::Host::poll(self.0, pollables).await
    }
}

impl poll::HostPollable for Polls<'_> {
    async fn ready(&mut self, pollable: Resource<DynPollable>) -> Result<bool> {
        poll::HostPollable::ready(self.0, pollable).await
    }

    async fn block(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        poll::HostPollable::block(self.0, pollable).await
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        poll::HostPollable::drop(self.0, pollable)
    }
}

struct JournaledTime;

impl HasData for JournaledTime {
    type Data<'a> = Time<'a>;
}

struct Time<'a> {
    clock: &'a Arc<dyn Clock>,
    table: &'a mut ResourceTable,
}

impl Time<'_> {
    fn of(guest: &mut Guest) -> Time<'_> {
        Time { clock: &guest.clock, table: &mut guest.table }
    }

    fn timer(&mut self, at: u64) -> Result<Resource<DynPollable>> {
        let timer = self.table.push(Timer { clock: Arc::clone(self.clock), at })?;
        subscribe(self.table, timer)
    }
}

impl wall_clock::Host for Time<'_> {
    fn now(&mut self) -> Result<wall_clock::Datetime> {
        let now = self.clock.wall();
        Ok(wall_clock::Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() })
    }

    fn resolution(&mut self) -> Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: 1_000 })
    }
}

impl monotonic_clock::Host for Time<'_> {
    fn now(&mut self) -> Result<u64> {
        Ok(self.clock.monotonic())
    }

    fn resolution(&mut self) -> Result<u64> {
        Ok(1_000)
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        self.timer(when)
    }

    fn subscribe_duration(&mut self, duration: u64) -> Result<Resource<DynPollable>> {
        let at = self.clock.monotonic().saturating_add(duration);
        self.timer(at)
    }
}

/// Ready at a time of the journal, so that a sleep is slept once, over all attempts together.
struct Timer {
    clock: Arc<dyn Clock>,
    at: u64,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        self.clock.sleep_until(self.at).await;
    }
}
