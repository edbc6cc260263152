//! What a sandbox shows of what was done in it, in words that are the same for two runs that did the
//! same: whoever ordered twice, or left something behind, has another one.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Result};
use std::path::Path;

use crate::dns;
use crate::providers::sandbox::files::Files;
use crate::providers::sandbox::ledger;
use crate::providers::sandbox::machines::Machines;

/// How often each thing was done, and what is there now (once each).
pub type Evidence = BTreeMap<String, usize>;

/// Lets the sandbox in this folder keep a ledger from now on.
///
/// # Errors
/// When the file cannot be made.
pub fn begin(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(ledger::FILE), "")
}

/// What was done since the ledger began, and what is there.
///
/// # Errors
/// When the folder cannot be read.
pub fn read(folder: &Path) -> Result<Evidence> {
    let mut evidence = Evidence::new();
    let mut seen = |what: String| *evidence.entry(what).or_default() += 1;
    let done = match std::fs::read_to_string(folder.join(ledger::FILE)) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        done => done.unwrap_or_default(),
    };
    done.lines().for_each(|line| seen(format!("did: {line}")));
    let machines = Machines::new(folder.to_owned());
    for machine in machines.all()? {
        seen(format!("there: machine {}", machine.name));
        let files = Files::new(&machines.contents(&machine), &machine);
        for path in files.paths()? {
            seen(format!("there: {} on {}", path, machine.name));
        }
    }
    machines.keys()?.iter().for_each(|key| seen(format!("there: key {}", key.name())));
    for record in dns::sandbox::listed(&folder.join("dns").join("zones.json"))? {
        seen(format!("there: record {record}"));
    }
    Ok(evidence)
}
