//! What came of all runs: faults by kind and place.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use crate::plan::Harm;
use crate::storm::{BOUNDARY, Fault, Ran};

/// The table.
pub(crate) struct Report {
    seed: u64,
    runs: usize,
    wrong: usize,
    receipts_left: usize,
    faults: BTreeMap<Fault, Counts>,
}

/// What came of the runs that a fault was in.
#[derive(Clone, Copy, Default)]
struct Counts {
    right: usize,
    wrong: usize,
}

impl Report {
    /// An empty one.
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, runs: 0, wrong: 0, receipts_left: 0, faults: BTreeMap::new() }
    }

    /// Adds a run.
    pub(crate) fn add(&mut self, ran: &Ran) {
        self.runs += 1;
        self.wrong += usize::from(ran.wrong.is_some());
        self.receipts_left += ran.receipts_left;
        for fault in &ran.faults {
            let counts = self.faults.entry(fault.clone()).or_default();
            counts.right += usize::from(ran.wrong.is_none());
            counts.wrong += usize::from(ran.wrong.is_some());
        }
    }

    /// Whether nothing went wrong that was not meant to.
    pub(crate) const fn is_clean(&self) -> bool {
        self.wrong == 0
    }

    /// All of it, each place by itself.
    pub(crate) fn json(&self) -> Value {
        let faults = self.faults.iter().map(|(fault, counts)| {
            json!({
                "kind": fault.kind, "place": fault.place,
                "right": counts.right, "wrong": counts.wrong,
            })
        });
        json!({
            "seed": self.seed,
            "runs": self.runs,
            "wrong": self.wrong,
            "receipts_left": self.receipts_left,
            "faults": faults.collect::<Vec<_>>(),
        })
    }

    /// The faults with the boundaries of all effects together.
    fn rows(&self) -> BTreeMap<(&str, &str), Counts> {
        let mut rows: BTreeMap<_, Counts> = BTreeMap::new();
        for (fault, counts) in &self.faults {
            let boundary = fault.place.strip_prefix(BOUNDARY).and_then(|it| it.split(' ').next());
            let row = rows.entry((fault.kind, boundary.unwrap_or(&fault.place))).or_default();
            row.right += counts.right;
            row.wrong += counts.wrong;
        }
        rows
    }

    fn count(&self, kind: &str) -> usize {
        let of_it = self.faults.iter().filter(|(fault, _)| fault.kind == kind);
        of_it.map(|(_, counts)| counts.right + counts.wrong).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<16} {:<36} {:>6} {:>6}", "FAULT", "WHERE", "RIGHT", "WRONG")?;
        for ((kind, place), counts) in self.rows() {
            writeln!(f, "{kind:<16} {place:<36} {:>6} {:>6}", counts.right, counts.wrong)?;
        }
        let [cuts, kills, restarts] =
            [Harm::Cut, Harm::Kill, Harm::Restart].map(|harm| self.count(harm.name()));
        writeln!(
            f,
            "{} faults in {} runs ({kills} kills, {cuts} cuts, {restarts} restarts of sshd), {} \
             wrong (seed {}); {} receipts of finished commands were left on their machines",
            cuts + kills + restarts,
            self.runs,
            self.wrong,
            self.seed,
            self.receipts_left,
        )
    }
}
