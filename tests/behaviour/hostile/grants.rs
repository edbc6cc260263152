//! Every function of the contract, tried without its grant. The list is the contract itself: for
//! each function that it has a plugin is forged that calls it, so that none can be forgotten.

use std::sync::Arc;

use serde_json::json;
use tests::forge::{DONE, Module, descriptor, world};
use tests::workshop::Workshop;
use windlass::model::grants::GrantsWanted;
use windlass::model::job::{JobRecord, JobStatus};
use windlass::plugins::plugin::Plugin;
use windlass::storage::ServerChange;
use wit_parser::abi::AbiVariant;
use wit_parser::{Function, Resolve, SizeAlign, Type, TypeDefKind, WorldItem};

/// Where a function's answer is put.
const ANSWER: u32 = 128;
/// Where texts begin.
const TEXTS: usize = 4_096;

/// A call of one function of the contract, with arguments that it takes.
struct Call<'a> {
    resolve: &'a Resolve,
    interface: &'a str,
    function: &'a Function,
    texts: Vec<u8>,
}

impl<'a> Call<'a> {
    const fn new(resolve: &'a Resolve, interface: &'a str, function: &'a Function) -> Self {
        Self { resolve, interface, function, texts: Vec::new() }
    }

    /// A module that makes the call and answers what came of it.
    fn module(mut self) -> Module {
        let signature = self.resolve.wasm_signature(AbiVariant::GuestImport, self.function);
        let what = format!("{}.{}", self.interface, self.function.name);
        assert!(!signature.indirect_params, "{what} has too many parameters for this test");
        assert!(signature.retptr, "{what} answers no failure, so it cannot be refused");
        let mut arguments: Vec<String> = Vec::new();
        for parameter in &self.function.params {
            self.lower(&parameter.name, &parameter.ty, &mut arguments);
        }
        arguments.push(format!("(i32.const {ANSWER})"));
        let types: Vec<String> = signature
            .params
            .iter()
            .map(|it| format!("{it:?}").to_lowercase())
            .map(|it| if matches!(&*it, "pointer" | "length") { "i32".to_owned() } else { it })
            .collect();
        let import = format!(
            "(import \"windlass:plugin/{}@0.1.0\" \"{}\" (func $asked (param {})))",
            self.interface,
            self.function.name,
            types.join(" ")
        );
        let run = format!("(call $asked {}) {}", arguments.join(" "), self.passed_on());
        let bytes: String = self.texts.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let tail = format!("(data (i32.const {TEXTS}) \"{bytes}\")");
        Module { head: import, run, tail, ..Module::default() }
    }

    /// A failure is answered as it is, and anything else as a good end.
    fn passed_on(&self) -> String {
        let mut sizes = SizeAlign::default();
        sizes.fill(self.resolve);
        let Some(Type::Id(id)) = self.function.result else { panic!("it answers nothing") };
        let TypeDefKind::Result(result) = &self.resolve.types[id].kind else {
            panic!("it answers no failure")
        };
        let cases = [result.ok.as_ref(), result.err.as_ref()];
        let payload = sizes.payload_offset(wit_parser::Int::U8, cases).size_wasm32();
        let from = usize::try_from(ANSWER).unwrap() + payload;
        let copies: String = (0..5)
            .map(|n| {
                let (to, from) = (20 + 4 * n, from + 4 * n);
                format!("(i32.store (i32.const {to}) (i32.load (i32.const {from})))")
            })
            .collect();
        format!(
            "(if (result i32) (i32.load8_u (i32.const {ANSWER}))
              (then (i32.store8 (i32.const 16) (i32.const 1)) {copies} (i32.const 16))
              (else {DONE}))"
        )
    }

    /// The flat form of a value that a parser of the host takes.
    fn lower(&mut self, name: &str, ty: &Type, into: &mut Vec<String>) {
        match ty {
            Type::String => {
                let value = self.text(name);
                self.place(value.as_bytes(), into);
            }
            Type::U64 | Type::S64 => into.push(format!("(i64.const {})", number(name))),
            Type::Id(id) => match &self.resolve.types[*id].kind {
                TypeDefKind::Type(ty) => self.lower(name, ty, into),
                TypeDefKind::Record(record) => {
                    for field in &record.fields {
                        self.lower(&field.name, &field.ty, into);
                    }
                }
                TypeDefKind::Option(ty) => {
                    into.push("(i32.const 0)".to_owned());
                    self.lower(name, ty, into);
                }
                TypeDefKind::List(Type::String) => self.list_of_one(name, into),
                TypeDefKind::List(_) => {
                    into.extend(["(i32.const 0)", "(i32.const 0)"].map(String::from))
                }
                TypeDefKind::Enum(_) => into.push("(i32.const 0)".to_owned()),
                other => panic!("teach this test what a {} is", other.as_str()),
            },
            _ => into.push(format!("(i32.const {})", number(name))),
        }
    }

    /// A text that stands for what the parameter is called.
    fn text(&self, name: &str) -> &'static str {
        match (self.interface, self.function.name.as_str(), name) {
            ("dns", _, "name") => "web-1.example.com",
            ("secrets", _, "name") => "app/password",
            ("servers", _, "name") | (_, _, "server") => "web-1",
            ("inventory", _, "app" | "patch") => "{}",
            (_, _, "zone") => "example.com",
            (_, _, "id") => "372e67954025e0ba6aaa6d586b9e0b59",
            (_, _, "kind") => "A",
            (_, _, "content") => "198.18.0.1",
            (_, _, "url") => "https://example.com/",
            (_, _, "method") => "GET",
            (_, _, "reference") => "${secret:web-1/app/password}",
            (_, _, "engine") => "postgres",
            (_, _, "alphabet") => "hex",
            (_, _, "compose") => "services:\n  a:\n    image: nginx:1.27\n",
            (_, _, "path") => "/root/file",
            _ => "app",
        }
    }

    fn place(&mut self, value: &[u8], into: &mut Vec<String>) {
        let at = TEXTS + self.texts.len();
        self.texts.extend_from_slice(value);
        into.push(format!("(i32.const {at})"));
        into.push(format!("(i32.const {})", value.len()));
    }

    fn list_of_one(&mut self, name: &str, into: &mut Vec<String>) {
        let value = self.text(name);
        let pad = self.texts.len().next_multiple_of(4);
        self.texts.resize(pad, 0);
        let at = u32::try_from(TEXTS + pad + 8).unwrap();
        let length = u32::try_from(value.len()).unwrap();
        let list = TEXTS + pad;
        self.texts.extend(at.to_le_bytes().into_iter().chain(length.to_le_bytes()));
        self.texts.extend_from_slice(value.as_bytes());
        into.push(format!("(i32.const {list})"));
        into.push("(i32.const 1)".to_owned());
    }
}

fn number(name: &str) -> u32 {
    match name {
        "length" => 32,
        "timeout-ms" => 1_000,
        "mode" => 0o600,
        _ => 0,
    }
}

/// Runs a plugin that makes this call, which may do what it asks for, or not.
async fn run(workshop: &Workshop, call: Call<'_>, is_granted: bool) -> JobRecord {
    let component = call_component(call);
    let plugin = Arc::new(Plugin::read(component).unwrap());
    if !is_granted {
        plugin.allowed().set(GrantsWanted::least());
    }
    workshop.catalog.activate(&plugin);
    let job = workshop.submit_job("tries_it", json!({}), None, ServerChange::None).await;
    workshop.finished(&job).await
}

fn call_component(call: Call<'_>) -> Vec<u8> {
    let interface = call.interface.to_owned();
    call.module().component(&descriptor("tries-it", &["job", &interface]))
}

/// The functions of the contract's interfaces, but for `job`, whose are everybody's.
fn functions(resolve: &Resolve) -> Vec<(&str, &Function)> {
    let (_, package) = resolve
        .packages
        .iter()
        .find(|(_, package)| package.name.name == "plugin")
        .expect("the contract is there");
    let world = &resolve.worlds[package.worlds["operation"]];
    let imported = world.imports.values().filter_map(|item| match item {
        WorldItem::Interface { id, .. } => Some(&resolve.interfaces[*id]),
        _ => None,
    });
    let named = imported.filter_map(|it| Some((it.name.as_deref()?, &it.functions)));
    let others = named.filter(|(name, _)| *name != "job");
    others.flat_map(|(name, functions)| functions.values().map(move |it| (name, it))).collect()
}

#[tokio::test]
async fn no_function_of_the_contract_does_anything_without_its_grant() {
    let workshop = Workshop::open().await;
    let (resolve, _) = world();
    let functions = functions(resolve);
    assert!(functions.len() >= 30, "{} functions", functions.len());
    let mut allowed = Vec::new();
    for (interface, function) in functions {
        let job = run(&workshop, Call::new(resolve, interface, function), false).await;
        let failure = job.failure.clone();
        let is_refused = failure.is_some_and(|it| {
            it.code == "access_denied"
                && it.message.contains(&format!("no grant for `{interface}`"))
        });
        if !is_refused {
            allowed.push(format!("{interface}.{}: {:?}", function.name, job.failure));
        }
    }
    assert!(allowed.is_empty(), "{allowed:#?}");
}

#[tokio::test]
async fn the_same_function_with_its_grant_answers() {
    let workshop = Workshop::open().await;
    let (resolve, _) = world();
    let wanted = ("inventory", "list-servers");
    let functions = functions(resolve);
    let found = functions.iter().find(|(interface, it)| (*interface, it.name.as_str()) == wanted);
    let (interface, function) = found.unwrap();
    let job = run(&workshop, Call::new(resolve, interface, function), true).await;
    assert_eq!(job.status, JobStatus::Completed, "{job:#?}");
}
