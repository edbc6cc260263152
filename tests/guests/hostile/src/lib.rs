//! A plugin that means harm, in the way that the name of its server says, or that just takes its
//! time. It has no descriptor: tests give it the one that they need.

use std::io::Write;

use serde_json::{Value, json};

wit_bindgen::generate!({ path: "../../../wit", world: "operation" });

use windlass::plugin::{job, ssh};

struct Component;

impl Guest for Component {
    fn run(params: String) -> Result<String, Failure> {
        let params: Value = serde_json::from_str(&params).unwrap_or_default();
        let how = params["name"].as_str().unwrap_or_default();
        match how {
            "panics" => panic!("lost my head"),
            "exits" => std::process::exit(3),
            "loops" => loop {
                std::hint::black_box(());
            },
            "eats-memory" => eat_memory(),
            "recurses" => Ok(recurse(1).to_string()),
            "floods-stdout" => flood(|line| println!("line {line}")),
            "floods-stdout-in-one-line" => flood_one_line(),
            "floods-the-log" => flood(|_| job::log(job::Level::Info, &"x".repeat(20_000))),
            "steps-without-end" => {
                (0..99_000).for_each(|step| job::step(&format!("step {step} of so many")));
                done()
            }
            "plans-without-end" => {
                let plan: Vec<String> = (0..100).map(|n| format!("{n:0>200}")).collect();
                (0..20_000).for_each(|_| job::plan(&plan));
                done()
            }
            "calls-without-end" => loop {
                job::progress(1);
            },
            "asks-without-end" => loop {
                job::sleep(0)?;
            },
            "asks-for-much" => ask_for_much(),
            "hands-over-much" => {
                job::log(job::Level::Info, &"x".repeat(20 * 1024 * 1024));
                done()
            }
            "hands-over-many-names" => {
                job::plan(&vec![String::from("a"); 100_000]);
                done()
            }
            "hands-over-too-many-names" => {
                job::plan(&vec![String::new(); 4_000_000]);
                done()
            }
            "answers-much" => Ok(format!("\"{}\"", "x".repeat(9 * 1024 * 1024))),
            "answers-no-json" => Ok("{".to_owned()),
            "answers-deep" => Ok("[".repeat(1_000_000)),
            "answers-beside-the-schema" => Ok("[]".to_owned()),
            "answers-many-wrongs" => Ok(json!({ "texts": vec![1; 1_000_000] }).to_string()),
            "fails-at-length" => Err(Failure {
                code: "No Code!\u{1b}[2J".to_owned(),
                message: format!("\u{1b}[2J{}", "x".repeat(7 * 1024 * 1024)),
                retry_safe: true,
            }),
            "waits" => {
                job::sleep(3_600_000)?;
                done()
            }
            how if how.starts_with("waits-with-much") => have_much(3_600_000),
            how if how.starts_with("needs-much") => have_much(2_000),
            how if how.starts_with("takes-") => {
                let seconds = how.split('-').nth(1).and_then(|text| text.parse().ok());
                job::sleep(seconds.unwrap_or(0u64) * 1_000)?;
                done()
            }
            how if how.starts_with("fails-") => {
                job::sleep(1_000)?;
                Err(Failure {
                    code: "no_luck".to_owned(),
                    message: "it did not work out".to_owned(),
                    retry_safe: true,
                })
            }
            how if how.starts_with("tells-") => {
                Ok(json!({ "done": true, "keys": params["ssh_keys"] }).to_string())
            }
            _ => done(),
        }
    }
}

fn done() -> Result<String, Failure> {
    Ok(json!({ "done": true }).to_string())
}

fn eat_memory() -> Result<String, Failure> {
    let mut kept = Vec::new();
    loop {
        kept.push(vec![1u8; 16 * 1024 * 1024]);
        std::hint::black_box(&kept);
    }
}

#[expect(unconditional_recursion, reason = "that is what it is for")]
fn recurse(depth: u64) -> u64 {
    std::hint::black_box(recurse(depth + 1)) + 1
}

fn flood(say: impl Fn(u32)) -> Result<String, Failure> {
    (0..20_000).for_each(say);
    done()
}

fn flood_one_line() -> Result<String, Failure> {
    let piece = vec![b'x'; 1024 * 1024];
    for _ in 0..64 {
        std::io::stdout().write_all(&piece).unwrap();
    }
    done()
}

/// Takes 64 MiB, says so, and has them for so many milliseconds.
fn have_much(duration: u64) -> Result<String, Failure> {
    job::log(job::Level::Info, "it begins");
    let kept = vec![1u8; 64 * 1024 * 1024];
    job::log(job::Level::Info, "it is mine");
    job::sleep(duration)?;
    std::hint::black_box(&kept);
    done()
}

/// Each is refused, for it is another server's; and each is journaled with what it asked for.
fn ask_for_much() -> Result<String, Failure> {
    let command = "x".repeat(4 * 1024 * 1024);
    let options =
        ssh::ExecOptions { timeout_ms: 0, stdin: None, log_output: false, more: Vec::new() };
    loop {
        let _ = ssh::exec("somebody-elses", &command, &options);
    }
}

export!(Component);
