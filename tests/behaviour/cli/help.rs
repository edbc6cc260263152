//! What the program says of itself, and how it looks on a terminal.

use std::path::Path;
use std::process::Command;

use tests::host_process::{Options, TestHost, program};

use super::{run, stderr, stdout};

fn help(home: &Path, command: &[String]) -> String {
    let arguments: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
    let printed = run(home, &arguments);
    assert_eq!(printed.status.code(), Some(0), "{command:?}: {}", stderr(&printed));
    stdout(&printed)
}

/// The subcommands that a help names.
fn subcommands(help: &str) -> Vec<String> {
    let listed = help.split_once("Commands:\n").map(|(_, rest)| rest).unwrap_or_default();
    let lines = listed.lines().take_while(|line| !line.is_empty());
    // What stands further right is the rest of a description.
    let names = lines.filter_map(|line| line.strip_prefix("  ").filter(|it| !it.starts_with(' ')));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.filter(|&name| name != "help").map(str::to_owned).collect()
}

#[test]
fn every_command_says_what_it_is_for_with_examples() {
    let home = tempfile::tempdir().unwrap();
    let mut open = vec![Vec::new()];
    let mut seen = 0;
    while let Some(command) = open.pop() {
        let text = help(home.path(), &command);
        assert!(text.contains("Examples:\n  "), "windlass {}:\n{text}", command.join(" "));
        assert!(text.lines().next().is_some_and(|line| line.len() > 8), "{command:?}: {text}");
        for line in text.lines().filter(|line| line.starts_with("  windlass ")) {
            assert!(
                line.contains(command.last().map_or("", String::as_str)),
                "{command:?}: {line}"
            );
        }
        let below = subcommands(&text);
        open.extend(below.into_iter().map(|name| [command.clone(), vec![name]].concat()));
        seen += 1;
    }
    assert!(seen > 45, "only {seen} commands were found");
}

#[test]
fn the_exit_codes_are_documented() {
    let home = tempfile::tempdir().unwrap();
    let text = help(home.path(), &[]);
    let codes =
        ["0 done", "1 the job or command failed", "2 usage", "3 the host cannot be reached"];
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for code in codes.into_iter().chain(["4 refused"]) {
        assert!(text.contains(code), "{code} is not in: {text}");
    }
}

#[test]
fn what_is_no_name_is_said_in_a_sentence_and_sent_to_nobody() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().join("home");
    // A host that is asked would be started, and would make the home.
    let mut command = program();
    command.env("WINDLASS_TOKEN", "x").args(["--url", "http://127.0.0.1:9"]);
    let command = |arguments: &[&str]| {
        let mut one = Command::new(command.get_program());
        one.args(command.get_args()).env("WINDLASS_TOKEN", "x").arg("--home").arg(&home);
        one.args(arguments).output().unwrap()
    };
    for arguments in [
        &["server", "show", "../jobs"][..],
        &["server", "delete", "A.b"],
        &["server", "types", "--provider", "a&b"],
        &["app", "remove", "web-1", "n8n?delete_data=true"],
        &["job", "show", "job_1"],
        &["job", "watch", "../x"],
        &["job", "list", "--status", "running&limit=1"],
        &["job", "delete", "--older-than", "7 d"],
        &["token", "revoke", "a/b"],
        &["plugin", "show", "a/../b"],
    ] {
        let refused = command(arguments);
        let said = stderr(&refused);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {said}");
        let first = said.lines().next().unwrap_or_default();
        assert!(first.starts_with("error: ") && first.ends_with('.'), "{arguments:?}: {said}");
    }
    assert!(!home.exists());
}

/// The program on a terminal, which `script` makes.
fn on_a_terminal(home: &Path, arguments: &str) -> Command {
    let line =
        format!("'{}' --home '{}' {arguments}", program().get_program().display(), home.display());
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]);
    for (name, value) in program().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("TERM", "xterm").env_remove("NO_COLOR").stdin(std::process::Stdio::null());
    command
}

#[tokio::test]
async fn colours_are_for_terminals_that_want_them() {
    let host = TestHost::start().await;
    let job = host.create_server("web-1").await;
    host.wait_for(&job, "completed").await;
    let list = |want: Option<(&str, &str)>| {
        let mut command = on_a_terminal(&host.home(), "server list");
        let shown = command.envs(want).output().unwrap();
        assert!(stdout(&shown).contains("web-1"), "{}{}", stdout(&shown), stderr(&shown));
        stdout(&shown)
    };
    assert!(list(None).contains("\u{1b}[1mNAME"), "{:?}", list(None));
    assert!(!list(Some(("NO_COLOR", "1"))).contains('\u{1b}'));
    assert!(!stdout(&run(&host.home(), &["server", "list"])).contains('\u{1b}'));
    let refused = on_a_terminal(&host.home(), "server show none").output().unwrap();
    assert!(stdout(&refused).contains("\u{1b}[31m\u{1b}[1merror:"), "{:?}", stdout(&refused));
    assert!(stderr(&run(&host.home(), &["server", "show", "none"])).starts_with("error: "));
}

#[tokio::test]
async fn a_terminal_shows_a_bar_and_the_log_above_it_and_both_survive_a_restart_of_the_host() {
    let environment = vec![("WINDLASS_SANDBOX_PACE".to_owned(), "realistic".to_owned())];
    let mut host = TestHost::start_with(Options { environment }).await;
    let job = host.create_server("web-1").await;
    let mut watching = on_a_terminal(&host.home(), &format!("job watch {job}"));
    let watching = tokio::task::spawn_blocking(move || watching.output());
    host.until(&format!("/api/jobs/{job}"), |job| job["progress"].as_u64() >= Some(30)).await;
    host.crash();
    host.restart().await;
    let shown = watching.await.unwrap().unwrap();
    let said = stdout(&shown);
    assert_eq!(shown.status.code(), Some(0), "{said}");
    for part in ["\u{2588}", "attempt 2", "ordered: cx23", "\u{2713}\u{1b}[0m   Check SSH"] {
        assert!(said.contains(part), "{part} is not in: {said:?}");
    }
}
