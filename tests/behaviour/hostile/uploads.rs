//! What the host refuses before it runs any of it.

use serde_json::{Value, json};
use tests::echo::{KEPT, patched};
use tests::forge::{Module, appended, descriptor, leb128, mute, with_section};

use super::{Door, Expected, Hostile};

pub(super) fn all() -> Vec<Hostile> {
    [of_bytes(), of_descriptors(), of_schemas(), of_components()].into_iter().flatten().collect()
}

fn refused(name: &str, bytes: Vec<u8>, code: &'static str, words: &'static str) -> Hostile {
    let expected = Expected::Refused(422, code, words);
    Hostile { name: name.to_owned(), door: Door::Upload(bytes), expected }
}

fn of_bytes() -> Vec<Hostile> {
    let module = b"\0asm\x01\0\0\0".to_vec();
    let half = KEPT[..KEPT.len() / 2].to_vec();
    let endless = [b"\0asm\x0d\0\x01\0\x01\xff\xff\xff\xff\x0f".as_slice(), &[0; 100]].concat();
    vec![
        refused("no WebAssembly at all", b"#!/bin/sh\n".to_vec(), "not_a_component", "component"),
        refused("a module, no component", module, "bad_descriptor", "there is none"),
        refused("half a component", half, "not_a_component", "component"),
        refused("a section of 4 GB in 100 bytes", endless, "not_a_component", "component"),
    ]
}

fn of_descriptors() -> Vec<Hostile> {
    let with = |content: &[u8]| with_section(&mute(), content);
    let changed = |field: &str, value: Value| {
        let mut descriptor = descriptor("hostile", &["job"]);
        descriptor[field] = value;
        with(descriptor.to_string().as_bytes())
    };
    let good = descriptor("hostile", &["job"]).to_string();
    let twice = with_section(&with(good.as_bytes()), good.as_bytes());
    let large = with(&vec![b' '; 60_000_000]);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let liar = patched(KEPT, r#"["job", "dns"       ]"#, r#"["job"              ]"#);
    let built_in = with(descriptor("setup-server", &["job"]).to_string().as_bytes());
    let bad = "bad_descriptor";
    let mut all = vec![
        refused("a descriptor that is no JSON", with(b"name: hostile"), bad, "expected"),
        refused("a descriptor that is no text", with(b"{\"name\": \"\xff\xfe\"}"), bad, "unicode"),
        refused("a descriptor nested 100 000 deep", with(deep.as_bytes()), bad, "expected"),
        refused("a descriptor of 60 MB", large, bad, "at most 262144"),
        refused("two descriptors", twice, bad, "two of them"),
        refused("asks for less than it imports", liar, bad, "`grants.interfaces`"),
        refused("a name that is a path", changed("name", json!("../../etc")), bad, "a-z"),
        refused(
            "a name of 100 000 letters",
            changed("name", json!("a".repeat(100_000))),
            bad,
            "a-z",
        ),
        refused("a field that nobody knows", changed("admin", json!(true)), bad, "unknown field"),
        refused("a million steps", changed("steps", json!(vec![""; 50_000])), bad, "100 steps"),
    ];
    for (name, bytes, status, code) in [
        ("named like a built-in one", built_in, 409, "built_in_name"),
        ("a descriptor of 100 MB", with(&vec![b' '; 100_000_000]), 413, "body_too_large"),
    ] {
        let expected = Expected::Refused(status, code, "");
        all.push(Hostile { name: name.to_owned(), door: Door::Upload(bytes), expected });
    }
    all
}

fn of_schemas() -> Vec<Hostile> {
    let schema = |name: &str, schema: Value, words| {
        let mut descriptor = descriptor("hostile", &["job"]);
        descriptor["params"] = schema;
        let bytes = with_section(&mute(), descriptor.to_string().as_bytes());
        refused(name, bytes, "bad_descriptor", words)
    };
    let again = json!({ "properties": { "a": { "allOf": [{ "$ref": "#" }, { "$ref": "#" }] } } });
    vec![
        schema("a schema that is itself", json!({ "$ref": "#" }), "has to end"),
        schema("a schema that grows without end", again, "has to end"),
        schema("a schema from the network", json!({ "$ref": "http://127.0.0.1/" }), "own parts"),
        schema("a schema from a file", json!({ "$ref": "file:///etc/passwd" }), "own parts"),
        schema("a pattern that looks back", json!({ "pattern": "(a)\\1" }), "regex"),
        schema("a pattern of a gigabyte", json!({ "pattern": "((a{999}){999}){999}" }), "regex"),
    ]
}

fn of_components() -> Vec<Hostile> {
    let described = |component: &[u8]| {
        with_section(component, descriptor("hostile", &["job"]).to_string().as_bytes())
    };
    let exports = |names: &[String]| {
        let mut section = leb128(names.len());
        for name in names {
            section.push(0);
            section.extend(leb128(name.len()));
            section.extend_from_slice(name.as_bytes());
            section.extend_from_slice(&[1, 0, 0]);
        }
        described(&appended(&mute(), 11, &section))
    };
    let many: Vec<String> = (0..100_000).map(|n| format!("e{n}")).collect();
    let bomb = format!(
        "(component (type $t0 (tuple u64 u64)) {})",
        (1..60).map(|n| format!("(type $t{n} (tuple $t{0} $t{0}))", n - 1)).collect::<String>()
    );
    let bomb = appended(&mute(), 4, &wat::parse_str(bomb).unwrap());
    let mut nested = b"\0asm\x0d\0\x01\0".to_vec();
    for _ in 0..2_000 {
        nested = appended(b"\0asm\x0d\0\x01\0", 4, &nested);
    }
    let nested = appended(&mute(), 4, &nested);
    let no_run =
        with_section(b"\0asm\x0d\0\x01\0", descriptor("hostile", &["job"]).to_string().as_bytes());
    let mut all = vec![
        refused("100 000 exports", exports(&many), "does_not_fit", "exports 100001 things"),
        refused("a name of 10 MB", exports(&["n".repeat(10_000_000)]), "not_a_component", "string"),
        refused("a zip bomb of types", described(&bomb), "not_a_component", "type size"),
        refused("2 000 components in each other", described(&nested), "not_a_component", "50 deep"),
        refused("nothing to run", no_run, "does_not_fit", "exports no function `run`"),
    ];
    if std::env::var_os("SLOW_TESTS").is_some() {
        all.push(refused("a bomb for the compiler", compiler_bomb(40), "too_costly", "smaller"));
    }
    all
}

/// Functions whose every value lives to the end, with as many ways through them as fit.
pub(super) fn compiler_bomb(functions: usize) -> Vec<u8> {
    let mut body = String::new();
    for n in 0..20_000 {
        body.push_str(&format!(
            "(block (br_if 0 (local.get {0})) (local.set {1} (i32.add (local.get {0}) (local.get {1}))))",
            n % 1_000,
            (n * 7 + 1) % 1_000
        ));
    }
    let locals = "(local i32)".repeat(1_000);
    let functions: String = (0..functions).map(|_| format!("(func {locals} {body})")).collect();
    Module { tail: functions, ..Module::default() }.component(&descriptor("hostile", &["job"]))
}
