//! What to do so that a name says what is wanted: a pure choice from the records that there are.

use crate::model::dns::{DnsRecord, NewRecord};

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Nothing stands there: add it.
    Add,
    /// This one says it already.
    Keep {
        /// Which.
        record: &'a DnsRecord,
        /// What we made of this name and kind besides: it goes.
        stale: Vec<&'a DnsRecord>,
    },
    /// This one is to say it.
    Change {
        /// Which.
        record: &'a DnsRecord,
        /// What we made of this name and kind besides: it goes afterwards.
        stale: Vec<&'a DnsRecord>,
    },
    /// These are somebody else's.
    Refuse(Vec<&'a DnsRecord>),
}

/// Chooses, from all records of the wanted name. Strangers' records are never touched unless one
/// is to be taken over by force, and then only that one.
pub fn decide<'a>(there: &'a [DnsRecord], wanted: &NewRecord) -> Step<'a> {
    let same = there.iter().filter(|record| record.kind == wanted.content.kind());
    let (ours, others): (Vec<_>, Vec<_>) = same.partition(|record| record.ours);
    let says_it = |record: &&DnsRecord| wanted.content.is_said_by(&record.kind, &record.content);
    let ours_saying_it = ours.iter().copied().find(says_it);
    let other_saying_it = others.iter().copied().find(says_it);

    let (target, is_settled) = match (ours_saying_it, others.as_slice()) {
        (Some(record), _) => (Some(record), is_settled(record, wanted)),
        // Nobody needs it changed, whoever made it.
        (None, [only]) if ours.is_empty() && is_settled(only, wanted) => (Some(*only), true),
        // The same content twice is not possible, so ours cannot become what theirs is.
        (None, [_, ..]) if !wanted.force && (ours.is_empty() || other_saying_it.is_some()) => {
            return Step::Refuse(others);
        }
        (None, _) => (other_saying_it.or(ours.first().copied()).or(others.first().copied()), false),
    };
    let Some(record) = target else { return Step::Add };
    let stale = ours.into_iter().filter(|our| our.id != record.id).collect();
    if is_settled { Step::Keep { record, stale } } else { Step::Change { record, stale } }
}

/// Whether the record says what is wanted, in the way that is wanted. A proxied one has no
/// lifetime of its own.
fn is_settled(record: &DnsRecord, wanted: &NewRecord) -> bool {
    wanted.content.is_said_by(&record.kind, &record.content)
        && record.proxied == wanted.proxied
        && (wanted.proxied || wanted.ttl.is_none_or(|ttl| ttl == record.ttl))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dns::Content;

    fn wanted() -> NewRecord {
        NewRecord {
            zone: "example.com".parse().unwrap(),
            name: "a.example.com".parse().unwrap(),
            content: Content::parse("A", "192.0.2.1").unwrap(),
            proxied: false,
            ttl: None,
            note: String::new(),
            force: false,
        }
    }

    /// Records by id, content, and whether they are ours.
    fn records(of: &[(&str, &str, bool)]) -> Vec<DnsRecord> {
        let record = |(id, content, ours): &(&str, &str, bool)| DnsRecord {
            id: id.parse().unwrap(),
            name: "a.example.com".to_owned(),
            kind: "A".to_owned(),
            content: (*content).to_owned(),
            proxied: false,
            ttl: 300,
            comment: None,
            ours: *ours,
            simulated: false,
        };
        of.iter().map(record).collect()
    }

    /// The choice in one line: what, which, and what goes besides.
    fn choice(of: &[(&str, &str, bool)], wanted: &NewRecord) -> String {
        let ids = |all: Vec<&DnsRecord>| {
            all.iter().map(|record| record.id.as_str()).collect::<Vec<_>>().join(",")
        };
        match decide(&records(of), wanted) {
            Step::Add => "add".to_owned(),
            Step::Keep { record, stale } => format!("keep {} -{}", record.id, ids(stale)),
            Step::Change { record, stale } => format!("change {} -{}", record.id, ids(stale)),
            Step::Refuse(others) => format!("refuse {}", ids(others)),
        }
    }

    const SAME: &str = "192.0.2.1";
    const OTHER: &str = "192.0.2.9";

    #[test]
    fn ours_are_changed_and_strangers_are_left_alone() {
        for (there, expected) in [
            (&[][..], "add"),
            (&[("1", SAME, true)], "keep 1 -"),
            (&[("1", SAME, false)], "keep 1 -"),
            (&[("1", OTHER, true)], "change 1 -"),
            (&[("1", OTHER, false)], "refuse 1"),
            (&[("1", OTHER, false), ("2", "192.0.2.8", false)], "refuse 1,2"),
            (&[("1", OTHER, false), ("2", SAME, false)], "refuse 1,2"),
            (&[("1", OTHER, false), ("2", SAME, true)], "keep 2 -"),
            (&[("1", OTHER, false), ("2", "192.0.2.8", true)], "change 2 -"),
            (&[("1", SAME, false), ("2", OTHER, true)], "refuse 1"),
            (&[("1", OTHER, true), ("2", SAME, true)], "keep 2 -1"),
            (&[("1", OTHER, true), ("2", "192.0.2.8", true)], "change 1 -2"),
        ] {
            assert_eq!(choice(there, &wanted()), expected, "{there:?}");
        }
    }

    #[test]
    fn force_takes_over_one_record_and_no_more() {
        let force = NewRecord { force: true, ..wanted() };
        for (there, expected) in [
            (&[("1", OTHER, false)][..], "change 1 -"),
            (&[("1", SAME, false)], "keep 1 -"),
            (&[("1", OTHER, false), ("2", "192.0.2.8", false)], "change 1 -"),
            (&[("1", OTHER, false), ("2", SAME, false)], "change 2 -"),
            (&[("1", SAME, false), ("2", OTHER, true)], "change 1 -2"),
        ] {
            assert_eq!(choice(there, &force), expected, "{there:?}");
        }
    }

    #[test]
    fn the_lifetime_counts_only_where_it_was_said_and_nothing_is_proxied() {
        let mut wanted = NewRecord { ttl: Some(60), ..wanted() };
        assert_eq!(choice(&[("1", SAME, true)], &wanted), "change 1 -");
        assert_eq!(choice(&[("1", SAME, false)], &wanted), "refuse 1");
        wanted.proxied = true;
        let proxied: Vec<DnsRecord> = records(&[("1", SAME, true)])
            .into_iter()
            .map(|record| DnsRecord { proxied: true, ttl: 1, ..record })
            .collect();
        assert!(matches!(decide(&proxied, &wanted), Step::Keep { .. }));
    }
}
