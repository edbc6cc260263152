//! What an operator makes lower holds at the door: each limit in turn, by the guest that runs into
//! it.

use serde_json::{Value, json};
use tests::forge::{self, DONE, Module, descriptor};
use tests::host_process::{Options, TestHost, program};

use super::{Door, Expected, Hostile, announce, forged, is_expected, meet, serves, text, uploads};

/// Where what deletes servers is replaced.
const NAME: &str = "delete-server";

const TIMER: &str = r#"(import "wasi:clocks/monotonic-clock@0.2.6" "subscribe-duration"
    (func $timer (param i64) (result i32)))"#;
const BLOCK: &str =
    r#"(import "wasi:io/poll@0.2.6" "[method]pollable.block" (func $block (param i32)))"#;

/// A host with these limits.
pub(super) async fn limited(limits: &[(&str, u32)]) -> TestHost {
    let named =
        |(name, number): &(&str, u32)| (format!("WINDLASS_LIMIT_{name}"), number.to_string());
    TestHost::start_with(Options { environment: limits.iter().map(named).collect() }).await
}

/// From now on servers are made by the plugin that means harm in the way that they are named.
pub(super) async fn hostile_servers(host: &TestHost) {
    let guest = forge::described(forge::hostile(), &descriptor("create-server", &["job", "ssh"]));
    let (status, added) = host.upload("accept_grants=true&replace_built_in=true", guest).await;
    assert_eq!(status, 201, "{added}");
}

/// A module as a plugin of its own, with what has to become of it.
fn plugin(name: &str, module: &Module, expected: Expected) -> Hostile {
    let component = module.component(&descriptor(NAME, &["job"]));
    Hostile { name: name.to_owned(), door: Door::Run(component), expected }
}

/// A module that does this first.
fn running(head: &str, first: &str) -> Module {
    Module { head: head.to_owned(), run: format!("{first} {DONE}"), ..Module::default() }
}

/// A module with this after all else.
fn with(tail: &str) -> Module {
    Module { tail: tail.to_owned(), ..Module::default() }
}

fn by_name() -> Vec<Hostile> {
    use Expected::Failed;
    let guests = [
        ("loops", Failed("computing_too_long", "computed for 2 s")),
        ("recurses", Failed("plugin_trapped", "stack of 128 KiB")),
        ("eats-memory", Failed("plugin_trapped", "its own words are in the log")),
        ("calls-without-end", Failed("too_many_calls", "over 1000 times")),
        ("asks-without-end", Failed("too_many_effects", "more than 50 effects")),
        ("plans-without-end", Failed("journal_too_large", "more than 1 MiB")),
        ("hands-over-much", Failed("plugin_trapped", "more than 1 MiB in one call")),
        ("answers-much", Failed("plugin_trapped", "more than 1 MiB in one call")),
    ];
    let guest = |(name, expected): (&str, Expected)| Hostile {
        name: name.to_owned(),
        door: Door::Name,
        expected,
    };
    guests.into_iter().map(guest).collect()
}

fn by_bytes() -> Vec<Hostile> {
    let failed = |words| Expected::Failed("plugin_trapped", words);
    let handles = running(TIMER, "(loop (drop (call $timer (i64.const 1))) (br 0))");
    // Within the limit by itself: 600 pages are 38 MiB.
    let two = with("(memory 600) (memory 600)");
    let large = Module { pages: 1_200, ..Module::default() };
    vec![
        plugin("a memory of 75 MiB", &large, failed("at most 64 MiB of memory")),
        plugin("two memories of 38 MiB", &two, failed("at most 64 MiB of memory")),
        plugin(
            "four memories",
            &with("(memory 1) (memory 1) (memory 1)"),
            failed("at most 3 linear"),
        ),
        plugin("ten tables", &with(&"(table 1 funcref)".repeat(10)), failed("at most 8 tables")),
        plugin("a table of 2 000", &with("(table 2000 funcref)"), failed("at most 1000 entries")),
        plugin("too many handles", &handles, failed("more than 20 handles")),
    ]
}

#[tokio::test]
async fn a_lower_limit_holds_and_is_told_with_its_number() {
    let host = limited(&[
        ("MEMORY_MIB", 64),
        ("MEMORIES", 3),
        ("STACK_KIB", 128),
        ("TABLES", 8),
        ("TABLE_ENTRIES", 1_000),
        ("HANDLES", 20),
        ("TURN_MILLISECONDS", 50),
        ("COMPUTING_SECONDS", 2),
        ("CALLS", 1_000),
        ("EFFECTS", 50),
        ("CALL_MIB", 1),
        ("JOURNAL_MIB", 1),
        ("LOG_LINES", 100),
        ("COMPONENT_MIB", 1),
    ])
    .await;
    hostile_servers(&host).await;
    let mut wrong = Vec::new();
    let guests = by_name().into_iter().chain(by_bytes()).chain(forged::without_end("for 2 s"));
    for (number, guest) in guests.enumerate() {
        let outcome = meet(&host, &guest, number).await;
        if !is_expected(&guest.expected, &outcome) {
            wrong.push(format!("{}: {outcome}", guest.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let (status, said) = announce(&host, 1_572_864);
    assert_eq!((status, text(&said["code"])), (413, "body_too_large"), "{said}");
    assert!(text(&said["error"]).contains("at most 1048576 bytes"), "{said}");
    serves(&host, "last").await;
    let id = host.create_server("floods-stdout").await;
    assert_eq!(host.ended(&id).await["status"], "completed");
    let (_, logs) = host.get(&format!("/api/jobs/{id}/logs?tail=1000&level=debug")).await;
    let lines = logs["logs"].as_array().unwrap();
    assert_eq!(lines.len(), 101, "{logs:#}");
    let last = text(&lines.last().unwrap()["message"]);
    assert!(last.contains("at most 100 lines and 16 MiB"), "{last}");
}

#[tokio::test]
async fn a_lower_limit_holds_where_another_one_would_be_met_first() {
    let host = limited(&[
        ("INSTANCES", 20),
        ("MEMORIES", 100),
        ("RESULT_MIB", 1),
        ("LOG_MIB", 1),
        ("LOG_LINE_KIB", 1),
    ])
    .await;
    hostile_servers(&host).await;
    let answer =
        "(i32.store8 (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const 131072))
        (i32.store (i32.const 24) (i32.const 2000000)) (i32.const 16)";
    let answers = Module { pages: 40, run: answer.to_owned(), ..Module::default() };
    let guests = [
        plugin("answers 2 MB", &answers, Expected::Failed("bad_result", "at most 1048576 are")),
        Hostile {
            name: "200 instances".to_owned(),
            door: Door::Run(forged::instances()),
            expected: Expected::Failed("plugin_trapped", "at most 20 instances"),
        },
    ];
    for (number, guest) in guests.iter().enumerate() {
        let outcome = meet(&host, guest, number).await;
        assert!(is_expected(&guest.expected, &outcome), "{}: {outcome}", guest.name);
    }
    let id = host.create_server("floods-the-log").await;
    assert_eq!(host.ended(&id).await["status"], "completed");
    let (_, logs) = host.get(&format!("/api/jobs/{id}/logs?tail=10")).await;
    let lines: Vec<&str> =
        logs["logs"].as_array().unwrap().iter().map(|line| text(&line["message"])).collect();
    let (last, lines) = lines.split_last().unwrap();
    assert!(last.contains("at most 10000 lines and 1 MiB"), "{last}");
    assert!(lines.iter().all(|line| (1_024..1_100).contains(&line.len())), "{lines:?}");
}

#[tokio::test]
async fn a_lower_limit_of_time_holds_for_a_run_and_for_the_compiler() {
    let host = limited(&[("RUN_SECONDS", 1), ("COMPILE_SECONDS", 2)]).await;
    let sleeps = running(
        &[TIMER, BLOCK].concat(),
        "(call $block (call $timer (i64.const 0x7fffffffffffffff)))",
    );
    // No other plugin runs here: one that has to be compiled first may need more than a second.
    let sleeps = sleeps.component(&descriptor("create-server", &["job"]));
    let (status, added) = host.upload("accept_grants=true&replace_built_in=true", sleeps).await;
    assert_eq!(status, 201, "{added}");
    let job = host.create_server("web-1").await;
    let job = host.ended(&job).await;
    assert_eq!(job["failure"]["code"], "operation_timeout", "{job:#}");
    assert!(text(&job["error"]).contains("longer than its 1 s"), "{job:#}");
    let (status, said) = host.upload("accept_grants=true", uploads::compiler_bomb(8)).await;
    assert_eq!((status, text(&said["code"])), (422, "too_costly"), "{said}");
    assert!(text(&said["error"]).contains("it may take 2 s of processor time"), "{said}");
}

/// The program with one variable more, on a home of its own: its exit code and what it
/// says, on its standard error where it says nothing else.
fn said_with(variable: (&str, &str), arguments: &[&str]) -> (i32, String) {
    let home = tempfile::tempdir().unwrap();
    let mut command = program();
    command.env(variable.0, variable.1).arg("--home").arg(home.path()).args(arguments);
    let output = command.output().unwrap();
    let said = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[test]
fn a_host_with_a_limit_that_cannot_be_does_not_start_and_says_why() {
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    for (variable, words) in [
        (("WINDLASS_LIMIT_CALLS", "5"), "from 100 to 100000000, 100000 unless set"),
        (("WINDLASS_LIMIT_MEMORY_MIB", "64M"), "a whole number of MiB from 16 to 4096"),
        (("WINDLASS_LIMIT_MEMORY", "64"), "did you mean WINDLASS_LIMIT_MEMORY_MIB?"),
    ] {
        let (code, said) = said_with(variable, &serve);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(variable.0) && said.contains(words), "{said}");
    }
}

#[test]
fn an_operator_sees_which_limits_there_are_and_which_are_changed() {
    let (code, help) = said_with(("COLUMNS", "200"), &["serve", "--help"]);
    assert_eq!(code, 0);
    assert!(help.contains("WINDLASS_LIMIT_MEMORY_MIB"), "{help}");
    let doctor = ["--json", "doctor"];
    let (_, said) = said_with(("WINDLASS_LIMIT_CALLS", "500"), &doctor);
    let said: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    let checks = said["checks"].as_array().unwrap();
    let limits = checks.iter().find(|check| check["name"] == "limits").unwrap();
    let found = "of plugins: WINDLASS_LIMIT_CALLS 500 (100000 unless set)";
    assert_eq!((&limits["found"], &limits["verdict"]), (&json!(found), &json!("ok")));
}
