//! One plugin with many bad manners, and some good ones to measure with.

use std::collections::HashMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sdk::job::{self, Level};
use sdk::{Failure, http, servers, ssh};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Params {
    how: String,
}

fn run(Params { how }: Params) -> Result<Value, Failure> {
    job::step("Misbehave");
    match how.as_str() {
        "returns" => Ok(json!({ "done": true })),
        "fails" => Err(Failure::new("no_luck", "it did not work out: try again tomorrow")),
        "panics" => panic!("lost my head"),
        "exits" => std::process::exit(3),
        "loops" => loop {
            std::hint::black_box(());
        },
        "eats-memory" => Ok(json!({ "bytes": eat_memory() })),
        "recurses" => Ok(json!({ "depth": recurse(1) })),
        "floods-the-log" => flood_log(),
        "floods-stdout" => flood_stdout(),
        "writes-control-characters" => {
            job::log(Level::Info, "before\u{1b}[2J\u{7}after\rover");
            Ok(json!({}))
        }
        "calls-too-often" => loop {
            job::progress(1);
        },
        "hands-over-much" => {
            job::log(Level::Info, &"x".repeat(20 * 1024 * 1024));
            Ok(json!({}))
        }
        "answers-nonsense" => Ok(json!("not an object")),
        "asks-without-grant" => denied(),
        "asks-for-what-is-not-there" => unsupported(),
        "touches-another-server" => touch_another(),
        "is-nondeterministic" => ask_for_something_else(),
        "waits" => wait(),
        "waits-and-cleans-up" => wait_and_clean_up(),
        "is-deterministic" => Ok(observe()),
        other => Err(Failure::new("invalid_argument", format!("there is no way `{other}`"))),
    }
}

fn eat_memory() -> usize {
    let mut kept = Vec::new();
    loop {
        kept.push(vec![1u8; 16 * 1024 * 1024]);
        if kept.len() > 1000 {
            return kept.len();
        }
    }
}

#[expect(unconditional_recursion, reason = "that is what it is for")]
fn recurse(depth: u64) -> u64 {
    std::hint::black_box(recurse(depth + 1)) + 1
}

fn flood_log() -> Result<Value, Failure> {
    for line in 0..20_000 {
        job::log(Level::Info, &format!("line {line}"));
    }
    Ok(json!({}))
}

fn flood_stdout() -> Result<Value, Failure> {
    for line in 0..20_000 {
        println!("line {line}");
    }
    Ok(json!({}))
}

fn denied() -> Result<Value, Failure> {
    let failure = servers::get("somebody-elses").unwrap_err();
    Ok(json!({ "code": failure.code, "message": failure.message }))
}

fn unsupported() -> Result<Value, Failure> {
    let request = http::Request {
        method: "GET".to_owned(),
        url: "http://169.254.169.254/".to_owned(),
        headers: Vec::new(),
        body: None,
        timeout_ms: 0,
        options: Vec::new(),
    };
    let failure = http::send(&request).unwrap_err();
    Ok(json!({ "code": failure.code }))
}

fn touch_another() -> Result<Value, Failure> {
    let failure = ssh::wait_ready("somebody-elses", 1000).unwrap_err();
    Ok(json!({ "code": failure.code }))
}

/// Asks for a sleep whose length only this process knows.
fn ask_for_something_else() -> Result<Value, Failure> {
    job::sleep(10)?;
    job::sleep(600_000)?;
    Ok(json!({}))
}

/// Ten short sleeps and a long one, so that there is a journal to replay.
fn wait() -> Result<Value, Failure> {
    for _ in 0..10 {
        job::sleep(1)?;
    }
    job::log(Level::Info, "waiting");
    job::sleep(600_000)?;
    Ok(json!({}))
}

fn wait_and_clean_up() -> Result<Value, Failure> {
    job::log(Level::Info, "waiting");
    let failure = job::sleep(600_000).unwrap_err();
    job::log(Level::Info, "cleaning up");
    job::sleep(1)?;
    job::log(Level::Info, "cleaned up");
    Err(failure)
}

/// Everything that a language could look at: the same in each attempt.
fn observe() -> Value {
    let mut map = HashMap::new();
    for n in 0..100 {
        map.insert(n.to_string(), n);
    }
    let order: Vec<_> = map.keys().cloned().collect();
    let began = Instant::now();
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos().to_string();
    std::thread::sleep(std::time::Duration::from_millis(5));
    let _ = job::sleep(5);
    let float = (0..1000).map(|n| f64::from(n).sqrt().sin()).sum::<f64>();
    json!({
        "order": order,
        "wall": wall,
        "elapsed": began.elapsed().as_nanos().to_string(),
        "float": float.to_bits().to_string(),
        "environment": std::env::vars().count(),
        "arguments": std::env::args().count(),
    })
}

sdk::operation!(run);
