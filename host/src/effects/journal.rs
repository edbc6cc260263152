//! One job's journal in hand: what earlier attempts did, read as the plugin comes to it again, and
//! what this attempt adds.

mod recorded;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::effects::Stop;
use crate::effects::journal::recorded::{Known, Recorded};
use crate::effects::printable::printable;
use crate::effects::request::{self, Request};
use crate::model::failure::Failure;
use crate::model::job::{Job, Lease, Running, View};
use crate::model::journal::{Class, Entry, Event, LogLevel, LogSource, NewEntry};
use crate::model::limits::Limits;
use crate::model::retry::{Inheritance, OpenEffect, Resolve};
use crate::ssh::Stream;
use crate::storage::{self, Store};
use crate::vault::masks::Masks;

/// How far a run may be ahead of the database, in entries and in bytes.
const FAR_AHEAD: (usize, usize) = (512, 1024 * 1024);

/// Effects that leave a receipt on the server.
const COMMANDS: [&str; 6] = [
    "ssh.exec",
    "stacks.deploy",
    "stacks.remove",
    "stacks.run",
    "databases.ensure",
    "databases.drop",
];

/// Failures that do not say that a command is over, or never began.
const OPEN: [&str; 5] =
    ["outcome_unknown", "ssh_unreachable", "host_key_mismatch", "login_refused", "refused"];

/// The journal of a running job.
pub struct Journal {
    store: Arc<dyn Store>,
    masks: Arc<Masks>,
    lease: Lease,
    recorded: Recorded,
    /// Lines that the plugin has said so far, and in earlier attempts.
    said: u64,
    said_before: u64,
    remote: HashMap<(u32, bool), u64>,
    log_lines: u64,
    log_bytes: usize,
    /// The most lines and bytes of the log.
    most_log: (u64, usize),
    /// The longest line, in bytes.
    longest_line: usize,
    dropped: u64,
    /// Entries and bytes that may not be written yet.
    ahead: (usize, usize),
    view: View,
    /// Whether it may have gone further than its entries say, since a backup was put back.
    is_restored: bool,
    /// How the job ends, since its time was over in an earlier attempt.
    overdue: Option<Failure>,
    /// What is known from the jobs before, when this one is a retry.
    inherited: Option<Box<Inheritance>>,
}

/// What an earlier attempt knows of an effect.
pub enum Replayed {
    /// It ended so.
    Outcome {
        /// When.
        at: Timestamp,
        /// What came of it.
        result: Result<Value, Failure>,
    },
    /// It may have been sent.
    Intent,
    /// Nothing: it is new.
    Nothing,
}

impl Journal {
    /// The journal of this job, with all its entries so far.
    pub fn new(store: Arc<dyn Store>, job: &Job<Running>, entries: Vec<Entry>) -> Self {
        let limits = Limits::default();
        let mut journal = Self {
            store,
            masks: Arc::default(),
            lease: job.lease().clone(),
            recorded: Recorded::default(),
            said: 0,
            said_before: 0,
            remote: HashMap::new(),
            log_lines: 0,
            log_bytes: 0,
            most_log: (limits.log_lines, limits.log_bytes),
            longest_line: limits.log_line,
            dropped: 0,
            ahead: (0, 0),
            view: job.record.view.clone(),
            is_restored: false,
            overdue: None,
            inherited: None,
        };
        journal.extend(entries);
        journal
    }

    /// Lets the log become as long as an operator allows.
    pub const fn limit_log(&mut self, limits: &Limits) {
        self.most_log = (limits.log_lines, limits.log_bytes);
        self.longest_line = limits.log_line;
    }

    /// Takes in the next of its entries so far. The log's lines are not kept in memory, and of the
    /// answers only the first ones.
    pub fn extend(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            self.read(entry);
        }
    }

    fn read(&mut self, entry: Entry) {
        match entry.event {
            Event::Plan { line, .. } | Event::Step { line, .. } | Event::Progress { line, .. } => {
                self.said_before = self.said_before.max(line);
            }
            Event::Log { source, message, .. } => {
                self.log_lines += 1;
                self.log_bytes += message.len();
                match source {
                    LogSource::Plugin(line) => self.said_before = self.said_before.max(line),
                    LogSource::Remote { ordinal, stderr, offset } => {
                        self.remote.insert((ordinal, stderr), offset);
                    }
                    LogSource::Host => {}
                }
            }
            Event::Intent { ordinal, function, digest, .. } => {
                self.recorded.intent(ordinal, function, digest);
            }
            Event::Outcome { ordinal, function, digest, result, .. } => {
                let from = (entry.seq, entry.at);
                self.recorded.outcome(from, ordinal, (function, digest), result);
            }
            Event::Retried(inherited) => {
                self.said_before = self.said_before.max(inherited.said);
                self.inherited = Some(inherited);
            }
            Event::Restored { .. } => self.is_restored = true,
            Event::Overdue { failure } => self.overdue = Some(failure),
            Event::Submitted { .. }
            | Event::Claimed { .. }
            | Event::Pinned { .. }
            | Event::CancelRequested { .. }
            | Event::Requeued { .. }
            | Event::Finished { .. } => {}
        }
    }

    /// How many bytes of memory the answers take that were not given again yet.
    pub const fn unread(&self) -> usize {
        self.recorded.unread()
    }

    /// The entry that has the answer of the plugin's next effect, when that is not in memory: it is
    /// to be read before the effect is asked for.
    pub fn missing(&self) -> Option<u64> {
        self.recorded.missing()
    }

    /// Takes in the missing answer, and what there is room for of those after it.
    pub fn read_on(&mut self, entries: Vec<Entry>) {
        self.recorded.read_on(entries);
    }

    /// The number of the plugin's next effect, and what is known of it: an answer is given once and
    /// not kept.
    ///
    /// # Errors
    /// `nondeterministic_plugin` when an earlier attempt asked for something else here.
    pub fn next_effect(&mut self, request: &Request) -> Result<(u32, Replayed), Stop> {
        self.recorded.next(request)
    }

    /// What is wrong with a plugin that has ended, though an earlier attempt of it had asked for
    /// more: what came of that nobody would ever look for.
    pub fn left_out(&self) -> Option<Stop> {
        let ordinal = self.recorded.next_number();
        let function = &self.recorded.at(ordinal)?.function;
        let message = format!(
            "effect {ordinal} was `{function}` before the host stopped, and now the plugin ended \
             without asking for it: it depends on something that is not in the journal"
        );
        Some(Stop::limit("nondeterministic_plugin", message))
    }

    /// Whether it asked for anything, now or in an earlier attempt.
    pub fn has_effects(&self) -> bool {
        self.recorded.next_number() > 0 || self.recorded.at(0).is_some()
    }

    /// How the job ends, when its time was over in an earlier attempt already.
    pub const fn overdue(&self) -> Option<&Failure> {
        self.overdue.as_ref()
    }

    /// Whether the plugin is still being told what it was told before.
    pub fn is_replaying(&self) -> bool {
        let next = self.recorded.next_number();
        self.said < self.said_before || self.recorded.at(next).is_some()
    }

    /// The numbers in receipts of the remote commands that are known to be over, well or badly:
    /// what they said is in the journal, and nobody asks for their receipts any more. With them,
    /// one of which a person said that it did not happen.
    pub fn ended_commands(&self) -> Vec<u32> {
        let is_command = |known: &Known| COMMANDS.contains(&known.function.as_str());
        let is_over = |known: &Known| match known.result() {
            Some(Ok(())) => true,
            Some(Err(failure)) => !OPEN.contains(&failure.code.as_str()),
            None => false,
        };
        let reused = self.inherited.as_ref().map_or(0, |inherited| inherited.reused);
        let commands = self.recorded.all().filter(|(it, _)| is_command(it));
        let own = commands.filter(|&(it, ordinal)| ordinal >= reused && is_over(it));
        let own = own.map(|(_, ordinal)| self.mark(ordinal));
        let given_up = self.inherited.as_ref().and_then(|it| it.open).filter(|open| {
            open.resolve == Some(Resolve::DidNotHappen)
                && self.recorded.at(open.ordinal).is_some_and(is_command)
        });
        own.chain(given_up.map(|open| open.mark)).collect()
    }

    /// The number that an effect has in labels and receipts.
    pub fn mark(&self, ordinal: u32) -> u32 {
        self.inherited.as_ref().map_or(ordinal, |inherited| inherited.mark(ordinal))
    }

    /// The numbers in labels of what the jobs before ordered by this function, newest first, and
    /// of what the effect of this number may have ordered in them.
    pub fn ordered(&self, function: &str, mark: u32) -> Vec<u32> {
        let Some(inherited) = &self.inherited else { return Vec::new() };
        let ordered = inherited.ordered.iter().filter(|it| it.function == function);
        let known = ordered.map(|it| it.mark).rev();
        known.chain(inherited.restored_marks(mark)).collect()
    }

    /// Whether an effect may have happened of which this journal knows nothing.
    pub fn may_be_behind(&self) -> bool {
        self.is_restored || self.inherited.as_ref().is_some_and(|it| it.may_be_behind())
    }

    /// Whether a person said that this effect happened.
    pub fn is_said_to_have_happened(&self, ordinal: u32) -> bool {
        let open = self.inherited.as_ref().and_then(|inherited| inherited.open);
        let Some(OpenEffect { ordinal: open, resolve, .. }) = open else { return false };
        open == ordinal && resolve == Some(Resolve::Happened)
    }

    /// When the plugin's clock began, where that was in a job before.
    pub fn clock(&self) -> Option<Timestamp> {
        self.inherited.as_ref().and_then(|inherited| inherited.clock)
    }

    /// The plugin names its steps.
    pub fn plan(&mut self, steps: Vec<String>) {
        if let Some(line) = self.new_line() {
            self.view.plan(&steps);
            self.write(Event::Plan { line, steps });
        }
    }

    /// The plugin begins a step. The one that runs does not begin again.
    pub fn step(&mut self, name: String) {
        let Some(line) = self.new_line() else { return };
        if self.view.current_step.as_ref() != Some(&name) {
            // The view is what follows from the entry.
            let at = storage::now();
            self.view.step(&name, at);
            self.write_at(at, Event::Step { line, name });
        }
    }

    /// The plugin got on.
    pub fn progress(&mut self, percent: u8) {
        let Some(line) = self.new_line() else { return };
        let before = self.view.progress;
        self.view.progress(percent);
        let percent = self.view.progress;
        if percent > before {
            self.write(Event::Progress { line, percent });
        }
    }

    /// The plugin says something.
    pub fn log(&mut self, level: LogLevel, message: &str) {
        if let Some(line) = self.new_line() {
            self.write_log(level, message, LogSource::Plugin(line));
        }
    }

    /// The host says something.
    pub fn note(&mut self, level: LogLevel, message: &str) {
        self.write_log(level, message, LogSource::Host);
    }

    /// A remote command says something.
    pub fn remote_line(&mut self, level: LogLevel, line: &str, from: (u32, Stream, u64)) {
        let (ordinal, stream, offset) = from;
        let stderr = stream == Stream::Stderr;
        self.remote.insert((ordinal, stderr), offset);
        self.write_log(level, line, LogSource::Remote { ordinal, stderr, offset });
    }

    /// Up to where a remote command's output stands in the log.
    pub fn remote_offset(&self, ordinal: u32, stream: Stream) -> u64 {
        let stderr = stream == Stream::Stderr;
        self.remote.get(&(ordinal, stderr)).copied().unwrap_or_default()
    }

    /// An effect is about to be sent: what has to be on disk first.
    pub fn intent(&self, ordinal: u32, request: &Request) -> (Lease, NewEntry) {
        let event = Event::Intent {
            ordinal,
            function: request.function.to_owned(),
            class: request.class,
            digest: request.digest.clone(),
            request: request.value.clone(),
        };
        (self.lease.clone(), now(event))
    }

    /// An effect ended. Answers when, and the entry that has to be on disk at once.
    pub fn outcome(&mut self, outcome: Outcome<'_>) -> (Timestamp, Option<NewEntry>) {
        let Outcome { ordinal, request, result, duration_ms, recovered } = outcome;
        let entry = now(Event::Outcome {
            ordinal,
            function: request.function.to_owned(),
            class: request.class,
            digest: request.digest.clone(),
            result: result.clone(),
            duration_ms,
            recovered: recovered.map(str::to_owned),
        });
        let at = entry.at;
        self.recorded.done(ordinal, at, request, result);
        if request.class == Class::Opaque {
            return (at, Some(entry));
        }
        self.goes_ahead(request::size_of(result));
        self.store.append(&self.lease, vec![entry], None);
        (at, None)
    }

    /// What is to be said at the very end: how many lines there was no room for.
    pub fn last_words(&self) -> Vec<NewEntry> {
        if self.dropped == 0 {
            return Vec::new();
        }
        let (lines, bytes) = self.most_log;
        let message = format!(
            "{} more lines were dropped: a job's log has at most {lines} lines and {} MiB",
            self.dropped,
            bytes / (1024 * 1024)
        );
        vec![now(Event::Log { level: LogLevel::Warn, message, source: LogSource::Host })]
    }

    /// Steps and percent as they stand.
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// Whether so much may not be written yet that the plugin has to wait.
    pub const fn is_far_ahead(&self) -> bool {
        self.ahead.0 >= FAR_AHEAD.0 || self.ahead.1 >= FAR_AHEAD.1
    }

    /// All so far is about to be written.
    pub const fn catches_up(&mut self) {
        self.ahead = (0, 0);
    }

    /// What is masked in every line.
    pub fn masks(&self) -> Arc<Masks> {
        Arc::clone(&self.masks)
    }

    /// The right to write.
    pub const fn lease(&self) -> &Lease {
        &self.lease
    }

    const fn goes_ahead(&mut self, bytes: usize) {
        self.ahead.0 = self.ahead.0.saturating_add(1);
        self.ahead.1 = self.ahead.1.saturating_add(bytes);
    }

    /// The plugin's next line number, unless an earlier attempt said that line.
    fn new_line(&mut self) -> Option<u64> {
        self.said += 1;
        (self.said > self.said_before).then_some(self.said)
    }

    fn write_log(&mut self, level: LogLevel, message: &str, source: LogSource) {
        let (most_lines, most_bytes) = self.most_log;
        if self.log_lines >= most_lines || self.log_bytes >= most_bytes {
            self.dropped += 1;
            return;
        }
        let message = printable(&self.masks.text(message), self.longest_line);
        self.log_lines += 1;
        self.log_bytes += message.len();
        self.goes_ahead(message.len());
        let event = Event::Log { level, message, source };
        self.store.append(&self.lease, vec![now(event)], None);
    }

    fn write(&mut self, event: Event) {
        self.write_at(storage::now(), event);
    }

    fn write_at(&mut self, at: Timestamp, event: Event) {
        let named = match &event {
            Event::Plan { steps, .. } => steps.iter().map(String::len).sum(),
            _ => 0,
        };
        // Each name of the view is somewhere else in memory.
        let listed = self.view.begun.len() + self.view.steps_completed.len();
        self.goes_ahead(named + 64 * (listed + self.view.steps_remaining.len()));
        let entry = NewEntry { at, event };
        self.store.append(&self.lease, vec![entry], Some(self.view.clone()));
    }
}

/// An effect's end.
#[derive(Clone, Copy)]
pub struct Outcome<'a> {
    /// Its number.
    pub ordinal: u32,
    /// What was asked for.
    pub request: &'a Request,
    /// What came of it.
    pub result: &'a Result<Value, Failure>,
    /// How long it took.
    pub duration_ms: u64,
    /// How it was found out after a crash.
    pub recovered: Option<&'static str>,
}

/// What has to be known of an effect once its answer was given.
fn without_answer(result: &Result<Value, Failure>) -> Result<Value, Failure> {
    result.as_ref().map(|_| Value::Null).map_err(Failure::clone)
}

fn now(event: Event) -> NewEntry {
    NewEntry { at: storage::now(), event }
}
