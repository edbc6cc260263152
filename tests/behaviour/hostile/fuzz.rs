//! Bytes and values that chance made, the same in each run. `WINDLASS_FUZZ_SECONDS` makes it go on
//! for so long, from another beginning each time, and says which. What is done with them is in
//! `tests::fuzz`, which a fuzzer that watches the code's coverage uses too (`tests/fuzz`).

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};
use serde_json::{Map, Value, json};
use tests::forge::descriptor;
use tests::fuzz::{BUILT_IN, Loaded, check, check_against, components, describe, load};

/// How often where no time is given.
const TIMES: usize = 3_000;

/// The longest that looking at one may take, in a build without optimizations.
const LONGEST: Duration = Duration::from_secs(30);

/// Tries again and again with a chance that can be had again.
fn fuzz(mut once: impl FnMut(&mut SmallRng)) {
    let seconds = std::env::var("WINDLASS_FUZZ_SECONDS").ok().and_then(|it| it.parse().ok());
    let seed = if seconds.is_some() { rand::random() } else { 20_261_129 };
    let mut chance = SmallRng::seed_from_u64(seed);
    let (began, mut times) = (Instant::now(), 0_usize);
    let goes_on = |times: usize| match seconds {
        Some(seconds) => began.elapsed() < Duration::from_secs(seconds),
        None => times < TIMES,
    };
    while goes_on(times) {
        let one = Instant::now();
        once(&mut chance);
        assert!(one.elapsed() < LONGEST, "seed {seed}, time {times}: {:?}", one.elapsed());
        times += 1;
    }
    println!("{times} times from seed {seed} in {:?}", began.elapsed());
}

/// Changes some bytes, or the order of whole pieces.
fn mutated(chance: &mut SmallRng, original: &[u8]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..chance.random_range(1..8) {
        let at = chance.random_range(0..bytes.len());
        let to = (at + chance.random_range(1..64)).min(bytes.len());
        match chance.random_range(0..6) {
            0 => bytes[at] = chance.random(),
            1 => bytes[at] ^= 1 << chance.random_range(0..8),
            2 => bytes.truncate(at.max(16)),
            3 => drop(bytes.drain(at..to)),
            4 => {
                let piece = bytes[at..to].to_vec();
                let place = chance.random_range(0..bytes.len());
                bytes.splice(place..place, piece);
            }
            // Numbers that are larger than anything.
            _ => bytes[at..to].fill([0xff, 0x7f, 0x80, 0][chance.random_range(0..4)]),
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
    bytes
}

#[test]
fn no_bytes_make_the_loader_panic_or_take_long() {
    let originals = components();
    let (mut read, mut whole) = (0_usize, 0_usize);
    fuzz(|chance| {
        let original = &originals[chance.random_range(0..originals.len())];
        let loaded = load(&mutated(chance, original));
        read += usize::from(loaded != Loaded::No);
        whole += usize::from(loaded == Loaded::Whole);
    });
    println!("{read} could be read, {whole} fit");
    assert!(read > 0, "none came so far that anything was looked at");
}

#[test]
fn no_descriptor_makes_the_loader_panic_or_take_long() {
    let original = descriptor("hostile", &["job"]).to_string();
    fuzz(|chance| {
        describe(&mutated(chance, original.as_bytes()));
    });
}

/// A value of any shape.
fn any(chance: &mut SmallRng, depth: u32) -> Value {
    let words = ["", "web-1", "type", "object", "$ref", "#/a", "é\u{1b}", "0", "-1", "true"];
    match chance.random_range(0..if depth == 0 { 5 } else { 8 }) {
        0 => Value::Null,
        1 => json!(chance.random::<bool>()),
        2 => json!(chance.random::<i64>()),
        3 => json!(f64::from_bits(chance.next_u64())),
        4 => json!(words[chance.random_range(0..words.len())].repeat(chance.random_range(0..300))),
        5 => (0..chance.random_range(0..20)).map(|_| any(chance, depth - 1)).collect(),
        _ => {
            let mut fields = Map::new();
            for _ in 0..chance.random_range(0..8) {
                let name = words[chance.random_range(0..words.len())];
                fields.insert(name.to_owned(), any(chance, depth - 1));
            }
            Value::Object(fields)
        }
    }
}

#[test]
fn no_parameters_make_a_check_panic_or_take_long() {
    let mut told = 0_usize;
    fuzz(|chance| {
        let plugin = &BUILT_IN[chance.random_range(0..BUILT_IN.len())];
        let mut params = any(chance, 4);
        // What the plugin knows, with what it does not expect there.
        if let Some(known) = plugin.descriptor.params["properties"].as_object() {
            let mut fields = Map::new();
            for name in known.keys() {
                if chance.random::<bool>() {
                    fields.insert(name.clone(), any(chance, 2));
                }
            }
            if chance.random::<bool>() {
                params = Value::Object(fields);
            }
        }
        told += check(plugin, &params);
    });
    assert!(told > 0, "nothing was ever wrong");
}

/// A schema that chance made of words that schemas have.
fn schema(chance: &mut SmallRng, depth: u32) -> Value {
    let keywords = [
        "type",
        "properties",
        "items",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "then",
        "else",
        "pattern",
        "patternProperties",
        "$ref",
        "$defs",
        "enum",
        "const",
        "required",
        "minimum",
        "prefixItems",
        "contains",
        "additionalProperties",
        "unevaluatedProperties",
        "uniqueItems",
        "dependentSchemas",
        "propertyNames",
        "maxLength",
        "format",
        "$id",
        "$dynamicRef",
    ];
    let mut fields = Map::new();
    for _ in 0..chance.random_range(0..5) {
        let keyword = keywords[chance.random_range(0..keywords.len())];
        let deeper = depth.saturating_sub(1);
        let value = match keyword {
            _ if depth == 0 || chance.random_range(0..8) == 0 => any(chance, 1),
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                (0..chance.random_range(1..4)).map(|_| schema(chance, deeper)).collect()
            }
            "properties" | "patternProperties" | "$defs" | "dependentSchemas" => {
                let names = ["a", "web-1", "^.*$", "(a+)+$", "(?=x)"];
                let name = names[chance.random_range(0..names.len())];
                json!({ name: schema(chance, deeper) })
            }
            "$ref" => json!(["#", "#/$defs/a", "#/properties/a"][chance.random_range(0..3)]),
            "type" => json!(["object", "array", "string"][chance.random_range(0..3)]),
            "pattern" => json!(["^a*$", "(x|y)*z", "\\p{L}"][chance.random_range(0..3)]),
            "maxLength" | "minimum" => json!(chance.random_range(0..10)),
            "uniqueItems" => json!(true),
            "enum" | "required" => json!(["a", "web-1"]),
            "const" | "format" | "$id" | "$dynamicRef" => any(chance, 1),
            _ => schema(chance, deeper),
        };
        fields.insert(keyword.to_owned(), value);
    }
    Value::Object(fields)
}

#[test]
fn no_schema_makes_a_check_panic_or_take_long() {
    let mut used = 0_usize;
    fuzz(|chance| {
        let (schema, value) = (schema(chance, 4), any(chance, 5));
        used += usize::from(check_against(schema, &value));
    });
    assert!(used > 100, "only {used} schemas could be used");
}
