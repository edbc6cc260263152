//! What a job's effects left outside, read from its journal: what they made, without what later
//! ones of them took away again.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::failure::Failure;
use crate::model::journal::{Class, Entry, Event};

/// An effect as the journal tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Its number in the job.
    pub ordinal: u32,
    /// `interface.function`.
    pub function: String,
    /// What may be done when its outcome is not known.
    pub class: Class,
    /// The entry in which it is named first.
    pub seq: u64,
    /// Whether the journal says that it was about to be sent.
    pub was_meant: bool,
    /// What came of it, if that is known.
    pub result: Option<Result<Value, Failure>>,
    request: Value,
}

/// The effects of a journal, reads included, in the order of their numbers.
pub fn traces(entries: &[Entry]) -> Vec<Trace> {
    let mut traces: BTreeMap<u32, Trace> = BTreeMap::new();
    for entry in entries {
        match &entry.event {
            Event::Intent { ordinal, function, class, request, .. } => {
                let new = || Trace::new(*ordinal, function, *class, entry.seq);
                let trace = traces.entry(*ordinal).or_insert_with(new);
                trace.request = request.clone();
                trace.was_meant = true;
            }
            Event::Outcome { ordinal, function, class, result, .. } => {
                let new = || Trace::new(*ordinal, function, *class, entry.seq);
                traces.entry(*ordinal).or_insert_with(new).result = Some(result.clone());
            }
            _ => {}
        }
    }
    traces.into_values().collect()
}

/// The effects that changed something outside which is still so, or which may have. The host's own
/// records are not outside.
pub fn remains(traces: &[Trace]) -> Vec<&Trace> {
    let is_outside = |trace: &&Trace| !trace.function.starts_with("inventory.");
    let changing = traces.iter().filter(|trace| trace.class != Class::Read).filter(is_outside);
    changing.filter(|trace| trace.may_have_happened() && !is_settled(trace, traces)).collect()
}

/// Whether what this effect made was taken away again by a later one of the same job. What nobody
/// knows to be there, nobody knows to be gone.
pub fn is_undone(trace: &Trace, traces: &[Trace]) -> bool {
    let Some(made) = trace.makes().filter(|_| trace.happened()) else { return false };
    let later = traces.iter().filter(|other| other.ordinal > trace.ordinal);
    later.filter(|other| other.happened()).any(|other| other.takes_away(&made))
}

impl Trace {
    fn new(ordinal: u32, function: &str, class: Class, seq: u64) -> Self {
        let (was_meant, result, request) = (false, None, Value::Null);
        Self { ordinal, function: function.to_owned(), class, seq, was_meant, result, request }
    }

    /// Whether it is known to have happened.
    pub const fn happened(&self) -> bool {
        matches!(self.result, Some(Ok(_)))
    }

    /// Whether nobody knows what came of it.
    pub fn is_unknown(&self) -> bool {
        match &self.result {
            None => self.was_meant,
            Some(Err(failure)) => failure.code == "outcome_unknown",
            Some(Ok(_)) => false,
        }
    }

    /// Whether by it the plugin was told that it is to end.
    pub fn tells_end(&self) -> bool {
        matches!(&self.result, Some(Err(failure)) if failure.code == "cancelled")
    }

    fn may_have_happened(&self) -> bool {
        self.happened() || self.is_unknown()
    }

    /// What there is more when it happened. A job works on one server, so that needs no name.
    fn makes(&self) -> Option<String> {
        Some(match self.function.as_str() {
            "servers.create" => "machine".to_owned(),
            "servers.ensure-ssh-key" => "key".to_owned(),
            "servers.set-firewall" | "ssh.exec" | "ssh.upload" => "machine/content".to_owned(),
            "stacks.deploy" => format!("machine/stack/{}", self.asked("name")),
            "stacks.run" => format!("machine/stack/{}/content", self.asked("name")),
            "databases.ensure" => self.database(),
            "inventory.update-server" | "secrets.ensure" | "secrets.bcrypt" => "record".to_owned(),
            "inventory.put-app" => format!("record/app/{}", self.asked("name")),
            "dns.upsert" => format!("name/{}", self.answered("id")),
            _ => return None,
        })
    }

    fn takes_away(&self, thing: &str) -> bool {
        let gone = match self.function.as_str() {
            "servers.delete" => "machine".to_owned(),
            "servers.delete-ssh-key" => "key".to_owned(),
            "stacks.remove" => format!("machine/stack/{}", self.asked("name")),
            "databases.drop" => self.database(),
            "inventory.remove-server" => "record".to_owned(),
            "inventory.delete-app" => format!("record/app/{}", self.asked("name")),
            "dns.delete" => format!("name/{}", self.asked("id")),
            _ => return false,
        };
        thing.strip_prefix(&gone).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn database(&self) -> String {
        format!("machine/database/{}/{}", self.asked("engine"), self.asked("name"))
    }

    fn asked(&self, field: &str) -> &str {
        self.request.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    fn answered(&self, field: &str) -> &str {
        let answer = self.result.as_ref().and_then(|result| result.as_ref().ok());
        answer.and_then(|answer| answer.get(field)).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Whether it is no news: it was undone, or it did nothing but undo.
fn is_settled(trace: &Trace, traces: &[Trace]) -> bool {
    if is_undone(trace, traces) {
        return true;
    }
    let undoes = |made: &Trace| {
        made.ordinal < trace.ordinal
            && made.may_have_happened()
            && made.makes().is_some_and(|thing| trace.takes_away(&thing))
    };
    trace.happened() && traces.iter().any(undoes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn effect(ordinal: u32, function: &str, class: Class, request: Value) -> Trace {
        let result = Some(Ok(json!({ "id": "7" })));
        Trace { request, was_meant: true, result, ..Trace::new(ordinal, function, class, 0) }
    }

    fn left(traces: &[Trace]) -> Vec<&str> {
        remains(traces).into_iter().map(|trace| trace.function.as_str()).collect()
    }

    #[test]
    fn what_was_cleaned_up_does_not_remain() {
        let mut traces = vec![
            effect(0, "servers.ensure-ssh-key", Class::Put, json!({})),
            effect(1, "servers.create", Class::Create, json!({})),
            effect(2, "dns.upsert", Class::Put, json!({})),
            effect(3, "ssh.exec", Class::Exec, json!({})),
            effect(4, "servers.delete", Class::Delete, json!({})),
        ];
        assert_eq!(left(&traces), ["servers.ensure-ssh-key", "dns.upsert"]);
        traces.push(effect(5, "dns.delete", Class::Delete, json!({ "id": "7" })));
        traces.push(effect(6, "servers.delete-ssh-key", Class::Delete, json!({})));
        assert!(left(&traces).is_empty());
    }

    #[test]
    fn a_database_goes_with_its_machine_or_when_it_is_dropped() {
        let of = |name: &str| json!({ "engine": "postgres", "name": name });
        let mut traces = vec![
            effect(0, "databases.ensure", Class::Exec, of("a")),
            effect(1, "databases.ensure", Class::Exec, of("b")),
            effect(2, "stacks.run", Class::Exec, json!({ "name": "shop" })),
            effect(3, "databases.drop", Class::Exec, of("a")),
        ];
        assert_eq!(left(&traces), ["databases.ensure", "stacks.run"]);
        traces.push(effect(4, "stacks.remove", Class::Delete, json!({ "name": "shop" })));
        assert_eq!(left(&traces), ["databases.ensure"]);
        traces.push(effect(5, "servers.delete", Class::Delete, json!({})));
        assert!(left(&traces).is_empty());
    }

    #[test]
    fn a_removal_of_what_was_there_before_is_said() {
        let traces = [effect(0, "servers.delete", Class::Delete, json!({}))];
        assert_eq!(left(&traces), ["servers.delete"]);
    }

    #[test]
    fn what_nobody_knows_remains_whatever_was_cleaned_up() {
        let mut create = effect(0, "servers.create", Class::Create, json!({}));
        create.result = None;
        let traces = [create, effect(1, "servers.delete", Class::Delete, json!({}))];
        assert_eq!(left(&traces), ["servers.create"]);
    }
}
