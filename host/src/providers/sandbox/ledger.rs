//! What the sandbox did, a line each, so that two runs can be compared: whatever happened twice
//! stands there twice. Kept only where somebody made the file; see `windlass torture`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Result, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::providers::sandbox::machines::Simulated;

/// The name of the file in the sandbox's folder.
pub(super) const FILE: &str = "ledger";

/// Scripts of the host that only look, and may be run again, begin with one of these.
const LOOKS: [&str; 1] = ["# windlass: stack-inspect"];

/// The file of what was done.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    path: PathBuf,
}

impl Ledger {
    /// The ledger of the sandbox in this folder.
    pub(super) fn new(folder: &Path) -> Self {
        Self { path: folder.join(FILE) }
    }

    /// A machine was made.
    pub(super) fn ordered(&self, machine: &Simulated) -> Result<()> {
        self.write(&format!("order {} {}", machine.name, machine.server_type))
    }

    /// A machine was removed.
    pub(super) fn deleted(&self, machine: &Simulated) -> Result<()> {
        self.write(&format!("delete {}", machine.name))
    }

    /// A key was added or removed.
    pub(super) fn key(&self, what: &str, name: &str) -> Result<()> {
        self.write(&format!("{what} {name}"))
    }

    /// A command was started: told by its text, in which the machine's own addresses, which are
    /// others in each run, do not count.
    pub(super) fn started(&self, machine: &Simulated, line: &str) -> Result<()> {
        if LOOKS.iter().any(|look| line.starts_with(look)) {
            return Ok(());
        }
        let (ipv4, ipv6) = (machine.ipv4.to_string(), machine.ipv6.to_string());
        let text = line.replace(&ipv4, "IPV4").replace(&ipv6, "IPV6");
        let digest = hex::encode(Sha256::digest(&text).get(..6).unwrap_or_default());
        let first: String = text.lines().next().unwrap_or_default().chars().take(60).collect();
        self.write(&format!("exec {} {digest} {}", machine.name, first.escape_debug()))
    }

    fn write(&self, line: &str) -> Result<()> {
        match OpenOptions::new().append(true).open(&self.path) {
            // One write of one line: appending is atomic among the processes of one machine.
            Ok(mut file) => file.write_all(format!("{line}\n").as_bytes()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}
