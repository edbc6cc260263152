//! Running the scripts, and reading what they say.

use sdk::job::{self, Level};
use sdk::{Failure, ssh};

use crate::scripts::Script;

/// How long a machine may take for a boot.
pub(crate) const READY_MS: u64 = 10 * 60 * 1000;
/// How often something is begun that restarts of the server cut off.
const ATTEMPTS: usize = 3;

/// What a script said.
pub(crate) struct Report {
    stdout: String,
}

/// Runs a script on the server; its output goes to the job's log while it runs.
pub(crate) fn run(
    server: &str,
    script: &Script,
    values: &[(&str, &str)],
    stdin: Option<String>,
) -> Result<Report, Failure> {
    let options = ssh::ExecOptions {
        timeout_ms: script.minutes * 60_000,
        stdin,
        log_output: true,
        more: vec![("quiet-prefix".to_owned(), "fact ".to_owned())],
    };
    let text = script.text(values);
    let output = patiently(server, script.name, || ssh::exec(server, &text, &options))?;
    if output.exit_code == 0 {
        return Ok(Report { stdout: output.stdout });
    }
    let said = output.stderr.lines().rev().find_map(|line| line.strip_prefix("failed: "));
    let message = said.map_or_else(
        || {
            let last = output.stderr.lines().chain(output.stdout.lines()).next_back();
            let (name, code) = (script.name, output.exit_code);
            format!(
                "`{name}` ended with {code} on the server: {}",
                last.unwrap_or("it said nothing")
            )
        },
        str::to_owned,
    );
    Err(Failure::new("setup_failed", message))
}

/// Does what may be done again, and again when the server restarted meanwhile and took it along: the
/// host never starts a command twice by itself, since it cannot know which may be.
pub(crate) fn patiently<T>(
    server: &str,
    what: &str,
    act: impl Fn() -> Result<T, Failure>,
) -> Result<T, Failure> {
    for _ in 1..ATTEMPTS {
        match act() {
            Err(failure) if failure.code == "command_interrupted" => {
                let line = format!("`{what}`: {}; running it again", failure.message);
                job::log(Level::Warn, &line);
                ssh::wait_ready(server, READY_MS)?;
            }
            other => return other,
        }
    }
    act()
}

impl Report {
    /// Whether it changed nothing.
    pub(crate) fn is_idle(&self) -> bool {
        self.stdout.lines().any(|line| line.starts_with("nothing to do: "))
    }

    /// A fact that it told.
    pub(crate) fn fact(&self, name: &str) -> Result<String, Failure> {
        let mut facts = self.stdout.lines().filter_map(|line| line.strip_prefix("fact "));
        let found = facts.find_map(|fact| fact.strip_prefix(name)?.strip_prefix(' '));
        found.map(str::to_owned).ok_or_else(|| {
            Failure::new(
                "setup_failed",
                format!("the server did not tell its {name}: run this again"),
            )
        })
    }
}
