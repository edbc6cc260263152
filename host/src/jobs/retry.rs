//! What a retry takes from the job before it: decided from that one's record and journal alone.

use jiff::Timestamp;

use crate::effects::remains::{self, Trace};
use crate::model::job::{JobRecord, JobStatus, PluginPin, View};
use crate::model::journal::{Class, Entry, Event, LogLevel, LogSource, NewEntry};
use crate::model::retry::{
    Inheritance, OpenEffect, Ordered, Resolve, RetriedEffect, RetryFrom, Reuse,
};

/// What is to be done again.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    /// What is recorded of the job.
    pub record: &'a JobRecord,
    /// Its whole journal.
    pub entries: &'a [Entry],
}

/// How a job is done again.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What its journal begins with.
    pub entries: Vec<NewEntry>,
    /// Steps and percent, as far as they are taken over.
    pub view: View,
    /// What it must run; none for the newest version.
    pub pin: Option<PluginPin>,
    /// What becomes of the effects of the job before.
    pub effects: Vec<RetriedEffect>,
    /// Where it begins, as a fragment of a sentence.
    pub summary: String,
}

/// The part of a journal that a retry takes over: all before this entry.
#[derive(Clone, Copy)]
struct Cut {
    seq: u64,
    /// How many effects lie before it.
    reused: u32,
}

impl Plan {
    /// Goes on from here. A person may have said what became of the effect that nobody knew of.
    pub fn new(
        before: Before<'_>,
        from: RetryFrom,
        resolve: Option<Resolve>,
        now: Timestamp,
    ) -> Self {
        let traces = remains::traces(before.entries);
        let open = open_effect(before, &traces).filter(|_| from == RetryFrom::FailedStep);
        let inherited = inherited(before.entries);
        let mark = |ordinal: u32| inherited.map_or(ordinal, |it| it.mark(ordinal));
        let open = open.map(|ordinal| OpenEffect { ordinal, mark: mark(ordinal), resolve });
        let cut = match (from, open) {
            (RetryFrom::Start, _) => Cut { seq: 0, reused: 0 },
            (RetryFrom::FailedStep, Some(open)) => cut_at_effect(&traces, open.ordinal),
            (RetryFrom::FailedStep, None) => cut_at_step(before.entries, &traces),
        };
        let taken: Vec<&Entry> = before.entries.iter().filter(|it| it.seq < cut.seq).collect();
        let goes_on = cut.seq > 0;
        let heritage = Inheritance {
            of: before.record.id.clone(),
            from,
            clock: goes_on.then(|| clock(before)),
            said: said(&taken),
            reused: cut.reused,
            shift: shift(before.entries, &traces),
            open,
            ordered: ordered(before.entries, &traces),
            restored: restored(before.entries),
        };
        let effects = effects(&traces, &heritage);
        let view = view(&taken);
        let summary = sentence(before.record, &heritage, &view);
        let entries = opening(before, &taken, heritage, (&summary, now));
        let pin = if goes_on { before.record.plugin.clone() } else { None };
        Self { entries, view, pin, effects, summary }
    }
}

/// The effect that left the job uncertain: the last one, without an outcome.
fn open_effect(before: Before<'_>, traces: &[Trace]) -> Option<u32> {
    let last = traces.last().filter(|_| before.record.status == JobStatus::Uncertain)?;
    last.is_unknown().then_some(last.ordinal)
}

fn cut_at_effect(traces: &[Trace], ordinal: u32) -> Cut {
    let seq = traces.iter().find(|trace| trace.ordinal == ordinal).map_or(0, |trace| trace.seq);
    Cut { seq, reused: ordinal }
}

/// The beginning of the step that failed; or of an earlier one, where what that made was taken away
/// again since.
fn cut_at_step(entries: &[Entry], traces: &[Trace]) -> Cut {
    // What it began once it was told to end was for cleaning up.
    let told = traces.iter().find(|trace| trace.tells_end()).map_or(u64::MAX, |trace| trace.seq);
    let steps = || {
        let is_step = |entry: &&Entry| matches!(entry.event, Event::Step { .. });
        entries.iter().filter(is_step).filter(|entry| entry.seq < told)
    };
    let failed = steps().next_back().map_or(0, |entry| entry.seq);
    let kept = traces.iter().filter(|trace| trace.seq < failed);
    let gone = kept.filter(|trace| remains::is_undone(trace, traces)).map(|trace| trace.seq).min();
    let seq = gone.map_or(failed, |gone| {
        steps().map(|entry| entry.seq).take_while(|&seq| seq < gone).last().unwrap_or(0)
    });
    let reused = traces.iter().filter(|trace| trace.seq < seq).count();
    Cut { seq, reused: u32::try_from(reused).unwrap_or(u32::MAX) }
}

fn inherited(entries: &[Entry]) -> Option<&Inheritance> {
    entries.iter().find_map(|entry| match &entry.event {
        Event::Retried(inherited) => Some(&**inherited),
        _ => None,
    })
}

fn clock(before: Before<'_>) -> Timestamp {
    let own = before.record.started_at.unwrap_or(before.record.created_at);
    inherited(before.entries).and_then(|it| it.clock).unwrap_or(own)
}

/// The last of the plugin's lines that are taken over.
fn said(taken: &[&Entry]) -> u64 {
    let line = |entry: &&Entry| match &entry.event {
        Event::Plan { line, .. }
        | Event::Step { line, .. }
        | Event::Progress { line, .. }
        | Event::Log { source: LogSource::Plugin(line), .. } => *line,
        Event::Retried(inherited) => inherited.said,
        _ => 0,
    };
    taken.iter().map(line).max().unwrap_or(0)
}

/// Beyond every mark that the job before can have used.
fn shift(entries: &[Entry], traces: &[Trace]) -> u32 {
    let used = traces.last().map_or(0, |trace| trace.ordinal.saturating_add(1));
    inherited(entries).map_or(0, |it| it.shift).saturating_add(used)
}

/// All that the chain ordered until now. What this job took over was ordered by one before it.
fn ordered(entries: &[Entry], traces: &[Trace]) -> Vec<Ordered> {
    let inherited = inherited(entries);
    let mark = |ordinal: u32| inherited.map_or(ordinal, |it| it.mark(ordinal));
    let reused = inherited.map_or(0, |it| it.reused);
    let own = traces
        .iter()
        .filter(|trace| trace.class == Class::Create && trace.was_meant && trace.ordinal >= reused);
    let own =
        own.map(|trace| Ordered { function: trace.function.clone(), mark: mark(trace.ordinal) });
    inherited.into_iter().flat_map(|it| it.ordered.iter().cloned()).chain(own).collect()
}

/// What was added to the numbers of effects that may have gone on unknown: of jobs that a backup
/// put back.
fn restored(entries: &[Entry]) -> Vec<u32> {
    let inherited = inherited(entries);
    let is_restored = entries.iter().any(|it| matches!(it.event, Event::Restored { .. }));
    let own = is_restored.then(|| inherited.map_or(0, |it| it.shift));
    inherited.into_iter().flat_map(|it| it.restored.iter().copied()).chain(own).collect()
}

/// What becomes of each effect that changes something, up to the one that failed: what followed was
/// cleaning up.
fn effects(traces: &[Trace], heritage: &Inheritance) -> Vec<RetriedEffect> {
    let failed = traces
        .iter()
        .find(|trace| trace.ordinal >= heritage.reused && matches!(trace.result, Some(Err(_))));
    let last = failed.map_or(u32::MAX, |trace| trace.ordinal);
    let shown = traces.iter().filter(|it| it.class != Class::Read && it.ordinal <= last);
    let told = shown.map(|trace| RetriedEffect {
        ordinal: trace.ordinal,
        function: trace.function.clone(),
        class: trace.class,
        how: reuse(trace, heritage),
    });
    told.collect()
}

fn reuse(trace: &Trace, heritage: &Inheritance) -> Reuse {
    let open = heritage.open.filter(|open| open.ordinal == trace.ordinal);
    match (open.map(|open| open.resolve), trace.class) {
        (None, _) if trace.ordinal < heritage.reused => Reuse::Reused,
        (_, Class::Create) | (Some(None), _) => Reuse::LookedUp,
        (Some(Some(Resolve::Happened)), _) => Reuse::Reused,
        (Some(Some(Resolve::DidNotHappen)) | None, _) => Reuse::Anew,
    }
}

fn view(taken: &[&Entry]) -> View {
    let mut view = View::default();
    for entry in taken {
        match &entry.event {
            Event::Plan { steps, .. } => view.plan(steps),
            Event::Step { name, .. } => view.step(name, entry.at),
            Event::Progress { percent, .. } => view.progress(*percent),
            _ => {}
        }
    }
    view
}

/// What the retry's journal begins with: what it knows, and the outcomes that it takes over.
fn opening(
    before: Before<'_>,
    taken: &[&Entry],
    heritage: Inheritance,
    (summary, now): (&str, Timestamp),
) -> Vec<NewEntry> {
    let (reused, open) = (heritage.reused, heritage.open);
    let (level, message) = (LogLevel::Info, summary.to_owned());
    let note = Event::Log { level, message, source: LogSource::Host };
    let mut opening: Vec<NewEntry> = [Event::Retried(Box::new(heritage)), note]
        .into_iter()
        .map(|event| NewEntry { at: now, event })
        .collect();
    let is_taken = |event: &Event| match event {
        Event::Plan { .. } | Event::Step { .. } | Event::Progress { .. } => true,
        Event::Intent { ordinal, .. } | Event::Outcome { ordinal, .. } => *ordinal < reused,
        _ => false,
    };
    let taken = taken.iter().filter(|entry| is_taken(&entry.event));
    opening.extend(taken.map(|entry| NewEntry { at: entry.at, event: entry.event.clone() }));
    // What is to be looked at once more, or believed, stands there as it was left.
    if let Some(open) = open.filter(|open| open.resolve != Some(Resolve::DidNotHappen)) {
        let is_open = |event: &Event| matches!(event, Event::Intent { ordinal, .. } if *ordinal == open.ordinal);
        let left = before.entries.iter().find(|entry| is_open(&entry.event));
        opening.extend(left.map(|it| NewEntry { at: it.at, event: it.event.clone() }));
    }
    opening
}

fn sentence(before: &JobRecord, heritage: &Inheritance, view: &View) -> String {
    let id = &before.id;
    if heritage.reused == 0 && heritage.open.is_none() {
        return format!("this tries {id} again, from its beginning");
    }
    let reused = heritage.reused;
    let place = match (&view.current_step, heritage.open) {
        (Some(step), Some(_)) => format!("within `{step}`"),
        (Some(step), None) => format!("after `{step}`"),
        (None, _) => "in its first step".to_owned(),
    };
    format!("this tries {id} again, {place}: the outcomes of {reused} calls are taken from it")
}
