//! Commands in the containers of a swarm's services, run on the machine that has the container.
//!
//! The command carries the mark of its receipt in its environment, in the container as outside, and
//! so it is found and ended there when it has to be: the client of `docker exec` alone would leave
//! it running. What wipes its own environment and outlives its parent is not found; the rest of the
//! container goes on in any case.

use std::time::Duration;

use crate::stacks::StackName;
use crate::stacks::swarm::script;

const CONTAINER: &str = include_str!("scripts/container.sh");
/// How long a container may be on its way, in seconds.
const STARTING: u64 = 60;
/// The most arguments, and the most bytes of them together.
const MOST: (usize, usize) = (500, 96 * 1024);

/// How the script says that the command did not begin: its exit code, and how its last line begins.
const NOT_BEGUN: (i32, &str) = (125, "windlass: ");

/// A command in a service's container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InContainer<'a> {
    /// The service's stack.
    pub stack: &'a StackName,
    /// Its name there.
    pub service: &'a str,
    /// The program and its arguments.
    pub arguments: &'a [String],
}

impl InContainer<'_> {
    /// The line for the server's shell. Its standard input is the command's.
    pub fn line(&self, timeout: Duration) -> String {
        // It gives up before the host does, so that it can say what for.
        let wait = STARTING.min(timeout.as_secs() / 2).to_string();
        let values =
            [("wl_stack", self.stack.as_str()), ("wl_service", self.service), ("wl_wait", &wait)];
        let set = format!("set -- {}\n", words(self.arguments));
        let body = [&set, CONTAINER, include_str!("scripts/run.sh")].concat();
        script("stack-run", &values, &body)
    }
}

/// Why the command did not begin, if it did not.
pub fn not_begun(exit_code: i32, stderr: &str) -> Option<&str> {
    let last = stderr.lines().next_back().filter(|_| exit_code == NOT_BEGUN.0)?;
    last.strip_prefix(NOT_BEGUN.1)
}

/// Refuses a name that is none of a service.
///
/// # Errors
/// A sentence that says why.
pub fn check_service(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.is_empty() && name.len() <= 63 && name.chars().all(allowed) {
        return Ok(());
    }
    let shown: String = name.chars().take(70).collect();
    Err(format!("`{}` is no name of a service", shown.escape_debug()))
}

/// Refuses arguments that no program can be given.
///
/// # Errors
/// A sentence that says why.
pub fn check_arguments(arguments: &[String]) -> Result<(), String> {
    let (most, bytes) = MOST;
    if arguments.first().is_none_or(String::is_empty) {
        return Err("the command has no program: its first argument is its name".to_owned());
    }
    if arguments.len() > most || arguments.iter().map(String::len).sum::<usize>() > bytes {
        return Err(format!(
            "the command has more than {most} arguments or {bytes} bytes of them: hand it over on \
             standard input"
        ));
    }
    if arguments.iter().any(|argument| argument.contains('\0')) {
        return Err("an argument has a zero byte in it, which no program can be given".to_owned());
    }
    Ok(())
}

/// Words of shell that stand for exactly these texts.
pub(super) fn words(arguments: &[String]) -> String {
    let quoted: Vec<String> =
        arguments.iter().map(|text| format!("'{}'", text.replace('\'', r"'\''"))).collect();
    quoted.join(" ")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_reads_the_words_as_they_were() {
        let texts = ["a b", "$(touch x)", "`id`", "it's", "", "-n", "\n'\n", "é;&|<>\\", "${X}"];
        let texts = texts.map(str::to_owned);
        let line = format!("printf '%s\\0' {}", words(&texts));
        let output = Command::new("sh").args(["-c", &line]).output().unwrap().stdout;
        let read: Vec<&[u8]> = output.split(|byte| *byte == 0).collect();
        let wanted: Vec<&[u8]> = texts.iter().map(String::as_bytes).chain([&b""[..]]).collect();
        assert_eq!(read, wanted);
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        let text = |it: &str| it.to_owned();
        assert!(check_arguments(&[text("true"), text("")]).is_ok());
        for arguments in [
            vec![],
            vec![text("")],
            vec![text("a\0")],
            vec![text("a"); 501],
            vec!["a".repeat(99_000)],
        ] {
            assert!(check_arguments(&arguments).is_err());
        }
        assert!(check_service("web").is_ok());
        for name in ["", "a b", "a/b", "a$b", "a\n"] {
            assert!(check_service(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_command_that_did_not_begin_is_told_from_one_that_failed() {
        assert_eq!(not_begun(125, "a\nwindlass: no container"), Some("no container"));
        assert_eq!(not_begun(1, "windlass: no container"), None);
        assert_eq!(not_begun(125, "docker: no"), None);
    }
}
