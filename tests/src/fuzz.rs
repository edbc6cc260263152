//! What is tried with bytes and values that nobody chose: by chance in a test, and by a fuzzer that
//! watches which code they reach (`tests/fuzz`). Each does what the host does with what strangers
//! send, and panics where the host must not.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value, json};
use windlass::plugins::catalog::Catalog;
use windlass::plugins::plugin::Plugin;

use crate::echo::KEPT;
use crate::forge::{Module, described, descriptor, hostile, with_section};

/// The plugins that came with the program, whose parameters people send.
pub static BUILT_IN: LazyLock<Vec<Arc<Plugin>>> =
    LazyLock::new(|| Catalog::built_in().unwrap().all());

/// A component with nothing in it.
const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

/// The longest message about one field, in bytes.
const LONGEST_MESSAGE: usize = 4_000;

/// How far bytes came on the way to be a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// They are no component with a descriptor that can be used.
    No,
    /// What they say of themselves was read, and they do not fit this host.
    Read,
    /// There is nothing to say against compiling them.
    Whole,
}

/// All that happens to a component before a process of its own compiles it.
pub fn load(component: &[u8]) -> Loaded {
    let Ok(plugin) = Plugin::read(component.to_vec()) else { return Loaded::No };
    if plugin.check_contract().is_ok() { Loaded::Whole } else { Loaded::Read }
}

/// The same with bytes in the descriptor's place of a component that has nothing else.
pub fn describe(descriptor: &[u8]) -> Loaded {
    load(&with_section(EMPTY, descriptor))
}

/// Holds a value against what a plugin says of its parameters and of its result, and answers how
/// much is wrong with the parameters.
pub fn check(plugin: &Plugin, value: &Value) -> usize {
    let _ = plugin.check_result(value);
    let wrong = plugin.check_params(value).err().unwrap_or_default();
    assert!(wrong.iter().all(|field| field.message.len() < LONGEST_MESSAGE));
    wrong.len()
}

/// Holds a value against a schema that a stranger wrote, and answers whether it could be used.
pub fn check_against(schema: Value, value: &Value) -> bool {
    let mut descriptor = descriptor("hostile", &["job"]);
    descriptor["params"] = schema;
    let component = with_section(EMPTY, descriptor.to_string().as_bytes());
    let Ok(plugin) = Plugin::read(component) else { return false };
    let is_usable = plugin.check_schemas().is_ok();
    if is_usable {
        check(&plugin, value);
    }
    is_usable
}

/// Bytes as a fuzzer makes them: which plugin, and the text of its parameters. A number that is no
/// plugin's stands for a schema and a value, with a line's end between them.
pub fn params(bytes: &[u8]) {
    let Some((number, text)) = bytes.split_first() else { return };
    let json = |text: &[u8]| serde_json::from_slice::<Value>(text).ok();
    if let Some(plugin) = BUILT_IN.get(usize::from(*number)) {
        let _ = json(text).map(|value| check(plugin, &value));
        return;
    }
    let mut parts = text.splitn(2, |byte| *byte == b'\n');
    if let (Some(schema), Some(value)) = (parts.next(), parts.next())
        && let (Some(schema), Some(value)) = (json(schema), json(value))
    {
        check_against(schema, &value);
    }
}

/// Components to begin with: one that fits, one that a compiler made, one of the first contract.
pub fn components() -> [Vec<u8>; 3] {
    let small = Module::default().component(&descriptor("hostile", &["job"]));
    let guest = described(hostile(), &descriptor("hostile", &["job", "ssh"]));
    [KEPT.to_vec(), small, guest]
}

/// Descriptors to begin with: those of the program's own plugins.
pub fn descriptors() -> Vec<Vec<u8>> {
    let text = |plugin: &Plugin| serde_json::to_vec(&plugin.descriptor).unwrap();
    BUILT_IN.iter().map(|plugin| text(plugin)).collect()
}

/// Parameters to begin with: each plugin's by name, and its schema as a stranger's.
pub fn parameters() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, plugin) in (0_u8..).zip(BUILT_IN.iter()) {
        let schema = &plugin.descriptor.params;
        let value = example(schema).to_string();
        seeds.push([&[number], value.as_bytes()].concat());
        seeds.push(format!("\u{7f}{schema}\n{value}").into_bytes());
    }
    seeds
}

/// A value of a schema's shape.
fn example(schema: &Value) -> Value {
    if let Some(first) = schema.pointer("/enum/0") {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            let fields = fields.map(|(name, field)| (name.clone(), example(field)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Some("array") => json!([example(&schema["items"])]),
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        _ => json!("web-1"),
    }
}

/// Lays what a fuzzer begins with into the folder that it keeps its own finds in.
pub fn lay(seeds: impl IntoIterator<Item = Vec<u8>>) {
    let folder = std::env::args().skip(1).map(PathBuf::from).find(|argument| argument.is_dir());
    let Some(folder) = folder else { return };
    for (number, seed) in seeds.into_iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
    }
}
