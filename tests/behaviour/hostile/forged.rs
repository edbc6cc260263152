//! What a plugin does that no compiler would: it lies to the host at the boundary, byte by byte.

use serde_json::json;
use tests::forge::{DONE, Module, appended, descriptor, leb128, mute, with_section};

use super::{Door, Expected, Hostile};

/// The plugin whose place they take: servers are deleted with it.
const NAME: &str = "delete-server";

const LOG: &str = r#"(import "windlass:plugin/job@0.1.0" "log" (func $log (param i32 i32 i32)))"#;
const PLAN: &str = r#"(import "windlass:plugin/job@0.1.0" "plan" (func $plan (param i32 i32)))"#;
const ID: &str = r#"(import "windlass:plugin/job@0.1.0" "id" (func $id (param i32)))"#;
const TIMER: &str = r#"(import "wasi:clocks/monotonic-clock@0.2.6" "subscribe-duration"
    (func $timer (param i64) (result i32)))"#;
const BLOCK: &str =
    r#"(import "wasi:io/poll@0.2.6" "[method]pollable.block" (func $block (param i32)))"#;
const DROP: &str =
    r#"(import "wasi:io/poll@0.2.6" "[resource-drop]pollable" (func $drop (param i32)))"#;

pub(super) fn all() -> Vec<Hostile> {
    let mut all = Vec::new();
    all.extend(at_the_boundary());
    all.extend(with_answers());
    all.extend(with_handles());
    all.extend(in_memory());
    if std::env::var_os("SLOW_TESTS").is_some() {
        all.extend(without_end("30 s"));
    }
    all
}

fn traps(name: &str, module: &Module, words: &'static str) -> Hostile {
    let component = module.component(&descriptor(NAME, &["job"]));
    let expected = Expected::Failed("plugin_trapped", words);
    Hostile { name: name.to_owned(), door: Door::Run(component), expected }
}

/// A module with these imports, whose `run` does this first.
fn running(head: &str, first: &str) -> Module {
    Module { head: head.to_owned(), run: format!("{first} {DONE}"), ..Module::default() }
}

fn at_the_boundary() -> Vec<Hostile> {
    let log = |arguments: &str| running(LOG, &format!("(call $log {arguments})"));
    let bad_utf8 = Module {
        tail: r#"(data (i32.const 2048) "ab\ff\fe\c0\80")"#.to_owned(),
        ..log("(i32.const 1) (i32.const 2048) (i32.const 6)")
    };
    let plan = running(PLAN, "(call $plan (i32.const 0) (i32.const 0x0fffffff))");
    vec![
        traps("text that is not UTF-8", &bad_utf8, "utf-8"),
        traps("a text of -1 bytes", &log("(i32.const 1) (i32.const 8) (i32.const -1)"), "bounds"),
        traps(
            "a text at address -16",
            &log("(i32.const 1) (i32.const -16) (i32.const 8)"),
            "bounds",
        ),
        traps(
            "a level that there is not",
            &log("(i32.const 99) (i32.const 0) (i32.const 0)"),
            "99",
        ),
        traps("a list of 268 million names", &plan, "bounds"),
        traps(
            "calls the host while it is given memory",
            &Module {
                head: [LOG, ID].concat(),
                realloc: "(call $log (i32.const 1) (i32.const 0) (i32.const 0)) i32.const 70000"
                    .to_owned(),
                ..running("", "(call $id (i32.const 32))")
            },
            "cannot leave component instance",
        ),
        traps(
            "calls the host after it answered",
            &Module {
                tail: r#"(func (export "cabi_post_run") (param i32)
                    (call $log (i32.const 1) (i32.const 0) (i32.const 0)))"#
                    .to_owned(),
                ..running(LOG, "")
            },
            "cannot leave component instance",
        ),
    ]
}

fn with_answers() -> Vec<Hostile> {
    let answers = |run: &str| Module { run: run.to_owned(), ..Module::default() };
    let huge = "(i32.store (i32.const 20) (i32.const 8)) (i32.store (i32.const 24) (i32.const -1))
        (i32.const 16)";
    let text = "(i32.store8 (i32.const 1024) (i32.const 0xff)) ";
    let elsewhere = |address: &str| Module { realloc: address.to_owned(), ..Module::default() };
    vec![
        traps("an answer at address -1", &answers("i32.const -4"), "bounds"),
        traps("an answer at an odd address", &answers("i32.const 17"), "aligned"),
        traps(
            "an answer that is neither good nor bad",
            &answers("(i32.store8 (i32.const 16) (i32.const 7)) (i32.const 16)"),
            "discriminant",
        ),
        traps("an answer of -1 bytes", &answers(huge), "bounds"),
        traps("an answer that is not UTF-8", &answers(&format!("{text}{DONE}")), "utf-8"),
        traps("memory at address -8 for the host", &elsewhere("i32.const -8"), "beyond end"),
        traps("no memory for the host", &elsewhere("unreachable"), "unreachable"),
    ]
}

fn with_handles() -> Vec<Hostile> {
    let guesses = running(BLOCK, "(call $block (i32.const 1))");
    let loops = |head: &str, body: &str| running(head, &format!("(loop {body} (br 0))"));
    let twice = running(
        &[TIMER, DROP].concat(),
        "(call $timer (i64.const 1)) global.set $next
         (call $drop (global.get $next)) (call $drop (global.get $next))",
    );
    vec![
        traps("guesses a handle", &guesses, "handle index"),
        traps("lets a handle go twice", &twice, "handle index"),
        traps(
            "never lets a handle go",
            &loops(TIMER, "(drop (call $timer (i64.const 1)))"),
            "4096",
        ),
    ]
}

fn in_memory() -> Vec<Hostile> {
    let memory = Module { pages: 16_384, ..Module::default() };
    let table = Module { tail: "(table 1000000 funcref)".to_owned(), ..Module::default() };
    // Each may be by itself; together they are more than a run may have.
    let together = Module { tail: "(memory 1024)".repeat(4), ..Module::default() };
    let tables = Module { tail: "(table 20000 funcref)".repeat(10), ..Module::default() };
    let grows = running("", "(drop (memory.grow (i32.const 65000)))");
    let mut slow = descriptor(NAME, &["job"]);
    slow["timeout_s"] = json!(1);
    let sleeps = running(
        &[TIMER, BLOCK].concat(),
        "(call $block (call $timer (i64.const 0x7fffffffffffffff)))",
    );
    let by = |name: &str, component, expected| Hostile {
        name: name.to_owned(),
        door: Door::Run(component),
        expected,
    };
    vec![
        traps("a memory of 1 GiB", &memory, "256 MiB"),
        traps("four memories of 64 MiB and one more", &together, "256 MiB"),
        traps("a table of a million entries", &table, "at most 100000 entries"),
        traps("ten tables of 20 000 entries", &tables, "at most 100000 entries"),
        by(
            "asks for 4 GiB more",
            grows.component(&descriptor(NAME, &["job"])),
            Expected::Completed,
        ),
        by(
            "200 instances and memories",
            instances(),
            Expected::Failed("plugin_trapped", "limit exceeded"),
        ),
        by(
            "sleeps longer than it may",
            sleeps.component(&slow),
            Expected::Failed("operation_timeout", "longer than its 1 s"),
        ),
    ]
}

/// Two hundred instances of the one module that there is.
pub(super) fn instances() -> Vec<u8> {
    let mut instances = leb128(200);
    instances.extend([0, 0, 0].repeat(200));
    let instances = appended(&mute(), 2, &instances);
    with_section(&instances, descriptor(NAME, &["job"]).to_string().as_bytes())
}

/// Each is stopped after this time.
pub(super) fn without_end(time: &'static str) -> Vec<Hostile> {
    let endless = "(loop (br 0))";
    let start =
        Module { tail: format!("(func $start {endless}) (start $start)"), ..Module::default() };
    let realloc = Module { realloc: format!("{endless} unreachable"), ..Module::default() };
    let post = Module {
        tail: format!(r#"(func (export "cabi_post_run") (param i32) {endless})"#),
        ..Module::default()
    };
    let stopped = |name: &str, module: &Module| Hostile {
        name: name.to_owned(),
        door: Door::Run(module.component(&descriptor(NAME, &["job"]))),
        expected: Expected::Failed("computing_too_long", time),
    };
    vec![
        stopped("never ends its start", &start),
        stopped("never gives memory", &realloc),
        stopped("never cleans up", &post),
    ]
}
