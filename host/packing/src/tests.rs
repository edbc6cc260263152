//! The packing of the real recipes, and of bad ones: each mistake is a sentence that names its place.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wasmparser::{Parser, Payload, Validator};

use super::*;

const RECIPE_YAML: &str = r#"
name: demo
version: 1.0.0
title: Demo
description: Shows something.
category: website
min_memory_mb: 128
dependencies: [postgres, redis]
config:
  theme: { type: string, default: dark, description: How it looks }
  mail: { type: string, description: Whom it writes to }
secrets: { key: {}, redis/password: {} }
databases: { demo: postgres }
routes: [{ prefix: demo, service: web, port: 80 }]
notes: Open {{ routes.demo.url }}.
pins: "demo 1.2: an example"
"#;

const COMPOSE_YAML: &str = r#"
services:
  web:
    image: example/demo:1.2.3
    environment:
      KEY: "{{ secrets.key }}"
      THEME: "{{ config.theme }}"
      MAIL: "{{ config.mail }}"
      QUEUE: "redis://:{{ secrets.redis/password }}@redis_redis:6379"
      DATABASE: "postgres://{{ databases.demo.user }}:{{ databases.demo.password }}@x"
    volumes: ["data:/data"]
    healthcheck: { test: [CMD, "true"] }
    deploy: { resources: { limits: { cpus: "0.5", memory: 128M } } }
volumes:
  data: {}
"#;

/// A component that imports the data and some more, as text.
fn component() -> Vec<u8> {
    use wasm_encoder::{
        ComponentBuilder, ComponentExportKind, ComponentTypeRef, InstanceType, PrimitiveValType,
    };
    let mut builder = ComponentBuilder::default();
    let instance = |builder: &mut ComponentBuilder, function: &str| {
        let mut kind = InstanceType::new();
        let no_parameters: [(&str, PrimitiveValType); 0] = [];
        kind.ty().function().params(no_parameters).result(Some(PrimitiveValType::String.into()));
        kind.export(function, ComponentTypeRef::Func(0));
        builder.type_instance(None, &kind)
    };
    let first = instance(&mut builder, "a");
    let source = instance(&mut builder, "read");
    builder.import("demo:demo/first", ComponentTypeRef::Instance(first));
    let wanted = builder.import("windlass:recipe/source@0.1.0", ComponentTypeRef::Instance(source));
    builder.import("demo:demo/last", ComponentTypeRef::Instance(first));
    let read = builder.alias_export(wanted, "read", ComponentExportKind::Func);
    builder.export("deploy", ComponentExportKind::Func, read, None);
    builder.finish()
}

fn folder(recipe: &str, compose: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(RECIPE), recipe).unwrap();
    fs::write(folder.path().join(COMPOSE), compose).unwrap();
    folder
}

fn recipes() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/apps");
    let entries = fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.join(RECIPE).exists()).collect()
}

fn validate(component: &[u8]) {
    Validator::new().validate_all(component).unwrap();
}

#[test]
fn data_takes_the_place_of_its_import_and_nothing_else_changes() {
    let before = component();
    validate(&before);
    for data in ["", "{}", &"ä".repeat(100_000)] {
        let packed = component::plug(&before, data).unwrap();
        validate(&packed);
        assert_eq!(component::imports(&packed).unwrap(), ["demo:demo/first", "demo:demo/last"]);
        assert!(
            packed.windows(data.len().max(1)).any(|part| part == data.as_bytes())
                || data.is_empty()
        );
    }
}

#[test]
fn the_same_recipe_makes_the_same_bytes() {
    let folder = folder(RECIPE_YAML, COMPOSE_YAML);
    let one = pack(&component(), folder.path()).unwrap();
    assert_eq!(one, pack(&component(), folder.path()).unwrap());
    validate(&one);
    let sections = Parser::new(0).parse_all(&one).filter(|payload| {
        matches!(payload, Ok(Payload::CustomSection(it)) if it.name() == component::SECTION)
    });
    assert_eq!(sections.count(), 1);
}

#[test]
fn a_component_without_the_import_or_with_a_descriptor_is_refused() {
    let plain = component();
    let described = add_descriptor(&plain, "{\"name\":\"x\"}").unwrap();
    validate(&described);
    let twice = add_descriptor(&described, "{}").unwrap_err().to_string();
    assert!(twice.contains("has a descriptor already"), "{twice}");
    let packed = component::plug(&plain, "{}").unwrap();
    let again = component::plug(&packed, "{}").unwrap_err().to_string();
    assert!(again.contains("imports no `windlass:recipe/source`"), "{again}");
    for bytes in [&b"nonsense"[..], b"\0asm\x01\0\0\0", &plain[..plain.len() / 2]] {
        assert!(component::plug(bytes, "{}").is_err());
    }
    assert!(add_descriptor(&plain, "[]").is_err());
}

#[test]
fn every_recipe_of_the_catalogue_is_accepted() {
    let recipes = recipes();
    assert!(!recipes.is_empty());
    let mut wrong = Vec::new();
    for recipe in recipes {
        match check(&recipe) {
            Ok(packed) => {
                let descriptor: Value = serde_json::from_str(&packed.descriptor).unwrap();
                assert_eq!(
                    Some(descriptor["name"].as_str().unwrap()),
                    recipe.file_name().unwrap().to_str()
                );
            }
            Err(error) => wrong.push(format!("{}: {error}", recipe.display())),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A change of the good recipe, and what is said of it.
fn check_bad(file: &str, from: &str, to: &str, said: &str) {
    let changed = |name: &str, text: &str| {
        if name == file {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        } else {
            text.to_owned()
        }
    };
    let folder = folder(&changed(RECIPE, RECIPE_YAML), &changed(COMPOSE, COMPOSE_YAML));
    let refused = match check(folder.path()) {
        Ok(_) => panic!("{from:?} -> {to:?} was accepted"),
        Err(error) => error.to_string(),
    };
    assert!(refused.starts_with(file) && refused.contains(said), "{from:?} -> {to:?}: {refused}");
}

#[test]
fn a_recipe_with_a_mistake_is_refused_with_its_place() {
    for (from, to, said) in [
        ("name: demo", "name: Demo", "name: use 1 to 40"),
        ("name: demo", "nme: demo", "unknown field `nme`"),
        ("version: 1.0.0", "version: one", "version: use three numbers"),
        ("category: website", "category: stuff", "category: use one of ai, "),
        ("min_memory_mb: 128", "min_memory_mb: lots", "min_memory_mb: invalid type"),
        ("min_memory_mb: 128", "min_memory_mb: 1", "min_memory_mb: use a number"),
        ("[postgres, redis]", "[postgres, redis, redis]", "`redis` cannot be one"),
        ("[postgres, redis]", "[redis]", "databases.demo: its engine `postgres` is not among"),
        ("[postgres, redis]", "[postgres]", "secrets.redis/password: `redis` is not among"),
        ("{ demo: postgres }", "{ De: postgres }", "databases.De: a database's name"),
        ("key: {}", "key: { length: 3 }", "secrets.key.length: use 8 to 1024"),
        ("key: {}", "key: { alphabet: emoji }", "secrets.key.alphabet: use alphanumeric"),
        ("key: {}", "key: { size: 3 }", "secrets.key.size: unknown field `size`"),
        ("key: {}", "key: {}, spare: {}", "secrets.spare: nothing uses this secret"),
        ("key: {}", "key: {}, database-x: {}", "secrets.database-x: names that begin so"),
        ("{ demo: postgres }", "{ demo: postgres, b: postgres }", "databases.b: nothing uses"),
        ("  mail:", "  spare: { type: string, description: x }\n  mail:", "config.spare: nothing"),
        ("type: string, default: dark", "type: object", "config.theme: its `type` is"),
        ("description: How it looks", "title: x", "config.theme: say in its `description`"),
        ("default: dark", "default: dark, writeOnly: true", "config.theme: a `writeOnly` choice"),
        (
            "  mail:",
            "  domain: { type: string, description: x }\n  mail:",
            "config.domain: packing",
        ),
        ("prefix: demo", "prefix: -demo", "routes[0].prefix: use 1 to 30"),
        ("port: 80", "port: 0", "routes[0].port: a port is"),
        ("port: 80", "port: 80, health: x", "routes[0].health: a path begins"),
        ("service: web", "service: wob", "routes[0].service: compose.yaml has no service `wob`"),
        (
            "routes.demo.url",
            "routes.dmo.url",
            "notes: there is no placeholder `routes.dmo.url`; did",
        ),
        ("routes.demo.url", "secrets.key", "notes: `secrets.key` is a secret"),
        ("routes.demo.url", "config.mail", "notes: `config.mail` need not be chosen"),
        ("{{ routes.demo.url }}", "{{ routes.demo.url", "has a `{{` without its `}}`"),
        ("pins: \"demo 1.2: an example\"", "", "missing field `pins`"),
        ("name: demo", "name: [demo", "it is no YAML"),
    ] {
        check_bad(RECIPE, from, to, said);
    }
}

#[test]
fn a_compose_file_with_a_mistake_is_refused_with_its_place() {
    for (from, to, said) in [
        ("demo:1.2.3", "demo:latest", "image: `example/demo:latest` is not pinned"),
        ("demo:1.2.3", "demo", "image: `example/demo` is not pinned"),
        ("example/demo:1.2.3", "host:5000/demo", "is not pinned"),
        ("demo:1.2.3", "demo:{{ config.theme }}", "image: an image is pinned by the recipe"),
        (
            "secrets.key",
            "secrets.kez",
            "environment.KEY: there is no placeholder `secrets.kez`; did",
        ),
        (
            "\"{{ config.mail }}\"",
            "\"<{{ config.mail }}>\"",
            "MAIL: `config.mail` need not be chosen",
        ),
        ("THEME: \"", "THEME: \"$HOME ", "THEME: it has a variable of the shell"),
        ("cpus: \"0.5\", ", "", "deploy.resources.limits.cpus: every service has a limit"),
        (", memory: 128M", "", "deploy.resources.limits.memory: every service has a limit"),
        ("    healthcheck:", "    x-health:", "healthcheck: add one"),
        ("    volumes:", "    ports: [\"80:80\"]\n    volumes:", "ports: no port is published"),
        ("    volumes:", "    networks: [other]\n    volumes:", "networks: there are `default`"),
        ("  data: {}", "  data: {}\n  more: {}", "volumes.more: no service mounts it"),
        ("data:/data", "other:/data", "volumes: `other` is not among"),
        ("volumes:\n  data", "networks: {}\nvolumes:\n  data", "networks: packing writes"),
        ("deploy: {", "deploy: { labels: { a: b },", "deploy.labels: `routes` of recipe.yaml"),
        ("services:", "servces:", "servces: packing writes"),
    ] {
        check_bad(COMPOSE, from, to, said);
    }
    let list = COMPOSE_YAML.replace("      KEY: \"{{ secrets.key }}\"\n", "");
    let folder = folder(RECIPE_YAML, &list);
    let refused = check(folder.path()).unwrap_err().to_string();
    assert_eq!(refused, "recipe.yaml: secrets.key: nothing uses this secret");
}

#[test]
fn a_missing_file_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let refused = check(empty.path()).unwrap_err().to_string();
    assert!(refused.contains("cannot read") && refused.contains(RECIPE), "{refused}");
}

#[test]
fn what_is_not_chosen_is_left_to_the_deployment() {
    let folder = folder(RECIPE_YAML, COMPOSE_YAML);
    let packed = check(folder.path()).unwrap();
    let data: Value = serde_json::from_str(&packed.data).unwrap();
    assert_eq!(data["compose"]["services"]["web"]["environment"]["MAIL"], "{{ config.mail }}");
    assert_eq!(data["compose"]["networks"]["public"]["external"], true);
    let descriptor: Value = serde_json::from_str(&packed.descriptor).unwrap();
    assert_eq!(descriptor["grants"]["secrets"][0], "demo/database-postgres");
    assert_eq!(descriptor["params"]["properties"]["domain"]["type"], "string");
    assert_eq!(descriptor["dns_prefixes"], serde_json::json!(["demo"]));
}
