//! Plugins that no compiler makes: a module in the text format, dressed as a component of the
//! contract, with whatever descriptor a test needs.

use std::path::Path;
use std::sync::OnceLock;

use serde_json::{Value, json};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

use crate::workshop::guest;

/// The world of forged plugins: the contract's operations, and a part of WASI by its raw functions.
const WORLD: [(&str, &str); 3] = [
    (
        "io.wit",
        "package wasi:io@0.2.6;
        interface poll { resource pollable { ready: func() -> bool; block: func(); } }",
    ),
    (
        "clocks.wit",
        "package wasi:clocks@0.2.6;
        interface monotonic-clock {
            use wasi:io/poll@0.2.6.{pollable};
            subscribe-duration: func(when: u64) -> pollable;
        }",
    ),
    (
        "guest.wit",
        "package tests:forged;
        world guest {
            include windlass:plugin/operation@0.1.0;
            import wasi:io/poll@0.2.6;
            import wasi:clocks/monotonic-clock@0.2.6;
        }",
    ),
];

/// What a forged module has that it does not say otherwise.
#[derive(Clone, Debug)]
pub struct Module {
    /// Imports, and functions and tables of its own.
    pub head: String,
    /// Its memory's pages.
    pub pages: u32,
    /// What it does where the host wants memory of it. The fourth parameter is how much.
    pub realloc: String,
    /// What `run` does.
    pub run: String,
    /// What there is after that.
    pub tail: String,
}

impl Default for Module {
    fn default() -> Self {
        Self {
            head: String::new(),
            pages: 2,
            realloc: BUMP.to_owned(),
            run: DONE.to_owned(),
            tail: String::new(),
        }
    }
}

/// Gives memory out and never takes it back.
const BUMP: &str = "global.get $next global.get $next local.get 3 i32.add i32.const 7 i32.add
    i32.const -8 i32.and global.set $next";

/// Answers `{}`: the address of where it stands that all went well, and where the text is.
pub const DONE: &str = "(i32.store8 (i32.const 16) (i32.const 0))
    (i32.store (i32.const 20) (i32.const 1024)) (i32.store (i32.const 24) (i32.const 2))
    (i32.const 16)";

impl Module {
    /// A component with this module in it, and this descriptor.
    pub fn component(&self, descriptor: &Value) -> Vec<u8> {
        let Self { head, pages, realloc, run, tail } = self;
        let text = format!(
            "(module {head} (memory (export \"memory\") {pages})
              (global $next (mut i32) (i32.const 65536))
              (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) {realloc})
              (func $run (export \"run\") (param i32 i32) (result i32) {run})
              (data (i32.const 1024) \"{{}}\") {tail})"
        );
        let module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        described(&dressed(module), descriptor)
    }
}

/// A module as a component of the world of forged plugins.
fn dressed(mut module: Vec<u8>) -> Vec<u8> {
    let (resolve, world) = world();
    embed_component_metadata(&mut module, resolve, *world, StringEncoding::UTF8).unwrap();
    let encoder = ComponentEncoder::default().module(&module);
    encoder.and_then(|mut encoder| encoder.encode()).unwrap_or_else(|error| panic!("{error:?}"))
}

/// A module as a component of another contract, which has a world `guest`.
pub fn of_another_contract(wit: &str, module: &str, descriptor: &Value) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("other.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let encoder = ComponentEncoder::default().module(&module);
    let component = encoder.and_then(|mut encoder| encoder.encode()).unwrap();
    described(&component, descriptor)
}

/// The contract, and the world of forged plugins.
pub fn world() -> &'static (Resolve, WorldId) {
    static WIT: OnceLock<(Resolve, WorldId)> = OnceLock::new();
    WIT.get_or_init(|| {
        let mut resolve = Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
        resolve.push_dir(wit).unwrap();
        let pushed: Vec<_> =
            WORLD.iter().map(|(file, text)| resolve.push_str(file, text).unwrap()).collect();
        let world = resolve.select_world(&pushed[2..], Some("guest")).unwrap();
        (resolve, world)
    })
}

/// A descriptor of an operation with this name.
pub fn descriptor(name: &str, interfaces: &[&str]) -> Value {
    json!({
        "name": name, "version": "6.6.6", "title": "Hostile", "description": "Means harm.",
        "category": "operation", "params": { "type": "object" },
        "result": {
            "type": "object",
            "properties": { "texts": { "type": "array", "items": { "type": "string" } } },
        },
        "steps": ["Harm"], "grants": { "interfaces": interfaces }, "timeout_s": 600,
    })
}

/// A component with this descriptor.
pub fn described(component: &[u8], descriptor: &Value) -> Vec<u8> {
    packing::add_descriptor(component, &descriptor.to_string()).unwrap()
}

/// A component with a custom section of any content in the descriptor's place.
pub fn with_section(component: &[u8], content: &[u8]) -> Vec<u8> {
    let name = b"windlass:descriptor";
    let mut section = leb128(name.len());
    section.extend_from_slice(name);
    section.extend_from_slice(content);
    appended(component, 0, &section)
}

/// A component with a section more, after all others.
pub fn appended(component: &[u8], id: u8, section: &[u8]) -> Vec<u8> {
    let mut longer = component.to_vec();
    longer.push(id);
    longer.extend(leb128(section.len()));
    longer.extend_from_slice(section);
    longer
}

/// A number as WebAssembly writes it.
pub fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        if number == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

/// A component that does nothing, without a descriptor.
pub fn mute() -> Vec<u8> {
    let Module { pages, run, .. } = Module::default();
    let text = format!(
        "(module (memory (export \"memory\") {pages})
          (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) i32.const 65536)
          (func (export \"run\") (param i32 i32) (result i32) {run})
          (data (i32.const 1024) \"{{}}\"))"
    );
    dressed(wat::parse_str(text).unwrap())
}

/// The plugin that means harm in the way that its server is named, without a descriptor.
pub fn hostile() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| guest("hostile"))
}
