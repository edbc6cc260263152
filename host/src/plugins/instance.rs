//! One run of a plugin: a store of its own, with limits, dropped with the run.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bindings::{Clock, Guest};
use serde_json::Value;
use wasmtime::component::ResourceTable;
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::WasiCtx;

use crate::capabilities::Capabilities;
use crate::capabilities::output::GuestOutput;
use crate::capabilities::randomness::Seeded;
use crate::effects::Stop;
use crate::effects::context::JobContext;
use crate::effects::printable::printable;
use crate::model::failure::Failure;
use crate::model::limits::Limits;
use crate::plugins::engine::{Engine, Prepared};
use crate::plugins::plugin::Plugin;
use crate::plugins::quota::{Need, NoRoom, Quota, Share};

/// How long a plugin that is to end may compute without asking the host for anything.
const DEAF: Duration = Duration::from_secs(5);

const MIB: usize = 1024 * 1024;

/// The longest code of a failure, in bytes.
const LONGEST_CODE: usize = 64;

/// How a run ended.
#[derive(Debug)]
pub enum Ran {
    /// The plugin answered.
    Returned(Result<Value, Failure>),
    /// The host stopped it, and why.
    Stopped(Stop),
}

/// Runs a plugin to its end, or until the host stops it. It has this share of the memory of all
/// plugins from the beginning.
///
/// # Errors
/// When others have the memory that it wants: it can go on from its journal when it has that.
pub async fn run(
    plugin: &Arc<Plugin>,
    engine: &Arc<Engine>,
    job: &Arc<JobContext>,
    share: Option<Share>,
) -> Result<Ran, Need> {
    let timeout = Duration::from_secs(plugin.descriptor.timeout_s.max(1)).min(job.limits().run);
    let late = Failure::unsafe_to_retry(
        "operation_timeout",
        format!("`{}` ran longer than its {} s", plugin.descriptor.name, timeout.as_secs()),
    );
    let ended = tokio::select! {
        ended = call(plugin, engine, job, share) => ended,
        stop = job.stopped(timeout, &late) => return Ok(Ran::Stopped(stop)),
    };
    Ok(match (ended, job.overdue()) {
        // It cleaned up, and says what it was told.
        (Ok(Err(_)), Some(late)) => Ran::Stopped(late),
        (Ok(answer), _) => Ran::Returned(answer),
        // A stop of ours reaches us as a trap; its reason stands in the job.
        (Err(trap), _) => match (job.take_stop(), trap.downcast_ref()) {
            (Some(stop), _) => Ran::Stopped(stop),
            // Its time is over only if its journal says so.
            (None, Some(NoRoom::Now(need))) => return Err(*need),
            (None, _) => Ran::Stopped(trapped(plugin, job, &trap)),
        },
    })
}

async fn call(
    plugin: &Arc<Plugin>,
    engine: &Arc<Engine>,
    job: &Arc<JobContext>,
    share: Option<Share>,
) -> wasmtime::Result<Result<Value, Failure>> {
    let prepared = plugin.prepared(engine).await.map_err(|e| wasmtime::format_err!("{e}"))?;
    let mut store = store(engine, job, share);
    let params = job.params().to_string();
    let answer = match prepared {
        Prepared::Operation(operation) => {
            let operation = operation.instantiate_async(&mut store).await?;
            operation.call_run(&mut store, &params).await?
        }
        Prepared::App(app) => {
            let app = app.instantiate_async(&mut store).await?;
            // The first operation of a plugin is what it is for, the second its opposite.
            if plugin.operations.first() == Some(&job.record.operation) {
                app.call_deploy(&mut store, &params).await?
            } else {
                app.call_undeploy(&mut store, &params).await?
            }
        }
    };
    match answer {
        Ok(text) => {
            let (plugin, most) = (Arc::clone(plugin), job.limits().result_bytes);
            let checked = tokio::task::spawn_blocking(move || result(&plugin, &text, most));
            checked.await.map_err(|error| wasmtime::format_err!("its result: {error}"))
        }
        Err(told) => Ok(Err(failure(told.code, &told.message, told.retry_safe, job.limits()))),
    }
}

/// A failure in a plugin's words, which stand in every list of jobs: its code is one, and its
/// message no longer than a line of the log.
fn failure(code: String, message: &str, retry_safe: bool, limits: &Limits) -> Failure {
    let is_code = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_one = (1..=LONGEST_CODE).contains(&code.len()) && code.chars().all(is_code);
    let code = if is_one { code } else { "plugin_failed".to_owned() };
    Failure { code, message: printable(message, limits.log_line), retry_safe }
}

fn result(plugin: &Plugin, text: &str, most: usize) -> Result<Value, Failure> {
    let bad = |what: String| {
        let name = &plugin.descriptor.name;
        Failure::unsafe_to_retry("bad_result", format!("the result of the plugin `{name}` {what}"))
    };
    if text.len() > most {
        return Err(bad(format!("has {} bytes, at most {most} are taken", text.len())));
    }
    let result = serde_json::from_str(text).map_err(|e| bad(format!("is no JSON: {e}")))?;
    plugin.check_result(&result).map_err(|wrong| {
        let first = wrong.first().map(|field| format!("{}: {}", field.pointer, field.message));
        bad(format!("is not what it promised: {}", first.unwrap_or_default()))
    })?;
    Ok(result)
}

fn store(engine: &Arc<Engine>, job: &Arc<JobContext>, share: Option<Share>) -> Store<Guest> {
    let limits = job.limits();
    let clock: Arc<dyn Clock> = job.clock();
    let wasi = WasiCtx::builder()
        .secure_random(Seeded::new(job.seed(), "random"))
        .insecure_random(Seeded::new(job.seed(), "insecure"))
        .insecure_random_seed(Seeded::number(job.seed()))
        .max_random_size(1024 * 1024)
        .stdout(GuestOutput::stdout(job))
        .stderr(GuestOutput::stderr(job))
        .build();
    let quota = Box::new(Quota::new(limits, Arc::clone(engine.pool()), share));
    let mut table = ResourceTable::new();
    table.set_max_capacity(limits.handles);
    let host = Box::new(Capabilities::new(Arc::clone(job)));
    let mut store = Store::new(engine.inner(), Guest { wasi, table, limits: quota, clock, host });
    store.limiter(|guest| &mut *guest.limits);
    store.set_hostcall_fuel(limits.call_bytes);
    interrupt(&mut store, job);
    store
}

/// Lets others run after each turn, and ends a guest that computes for too long between two calls. One
/// that is to end asks sooner than that for the effect which tells it, or does not clean up.
fn interrupt(store: &mut Store<Guest>, job: &Arc<JobContext>) {
    let Limits { computing, turn, .. } = *job.limits();
    let most = computing.as_millis() / turn.as_millis().max(1);
    let most_deaf = DEAF.as_millis() / turn.as_millis().max(1);
    let job = Arc::clone(job);
    let mut deaf = 0;
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        let turns = job.computing().fetch_add(1, Ordering::Relaxed) + 1;
        // What was computed before it was to end does not count.
        deaf = if job.is_to_end() && turns > 1 { deaf + 1 } else { 0 };
        if deaf > most_deaf {
            job.stop(job.ending());
            return Err(wasmtime::format_err!("was to end while it computed"));
        }
        if u128::from(turns) > most {
            job.stop(Stop::limit(
                "computing_too_long",
                format!("the plugin computed for {} s without a call", computing.as_secs()),
            ));
            return Err(wasmtime::format_err!("computed for too long"));
        }
        Ok(UpdateDeadline::Yield(1))
    });
}

/// A trap of the guest's own making.
fn trapped(plugin: &Plugin, job: &JobContext, trap: &wasmtime::Error) -> Stop {
    let name = &plugin.descriptor.name;
    if let Some(never) = trap.downcast_ref::<NoRoom>() {
        return Stop::limit("no_such_memory", format!("the plugin `{name}` {never}"));
    }
    let reason = trap.root_cause().to_string();
    let hint = hint(&reason, job.limits()).unwrap_or_default();
    Stop::limit("plugin_trapped", format!("the plugin `{name}` broke off: {reason}{hint}"))
}

/// What wasmtime's words mean for who wrote the plugin.
fn hint(reason: &str, limits: &Limits) -> Option<String> {
    let Limits { call_bytes, handles, memory, table_entries, instances, stack, .. } = limits;
    let Limits { memories, tables, .. } = limits;
    let hints = [
        ("unreachable", "; its own words are in the log".to_owned()),
        (
            "fuel allocated for hostcalls",
            format!(": it handed over more than {} MiB in one call", call_bytes / MIB),
        ),
        (
            "call stack exhausted",
            format!(": it calls itself too deep for a stack of {} KiB", stack / 1024),
        ),
        ("table has no free keys", format!(": it has more than {handles} handles open")),
        ("memory minimum size", format!(": a plugin has at most {} MiB of memory", memory / MIB)),
        ("table minimum size", format!(": its tables have at most {table_entries} entries")),
        ("instance count too high", format!(": it has at most {instances} instances")),
        ("memory count too high", format!(": it has at most {memories} linear memories")),
        ("table count too high", format!(": it has at most {tables} tables")),
        ("exit", ": it ended its process instead of returning; return a failure".to_owned()),
    ];
    hints.into_iter().find_map(|(words, hint)| reason.contains(words).then_some(hint))
}
