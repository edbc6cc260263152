//! Strangers' plugins that mean harm: each one ends as the specification says, the host's memory
//! stays what it was, and it serves on. One host meets them all, and one table shows them.

mod forged;
mod fuzz;
mod grants;
mod injection;
mod limits;
mod memory;
mod running;
mod uploads;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use reqwest::Method;
use serde_json::{Value, json};
use tests::forge;
use tests::host_process::TestHost;

/// The most bytes that a component may have.
const LARGEST: usize = 64 * 1024 * 1024;
/// What the host may have more, in MB, after a guest is gone. An allocator gives memory back when
/// it likes: what a guest can leave behind again and again shows in the sum, which has a limit too.
const MORE_AFTER_ONE: f64 = 96.0;
/// The same after all of them.
const MORE_AFTER_ALL: f64 = 160.0;

/// A plugin that means harm.
struct Hostile {
    name: String,
    door: Door,
    expected: Expected,
}

/// By which way it comes.
enum Door {
    /// Sent to the host, which should refuse it.
    Upload(Vec<u8>),
    /// In the plugin that is there already, which goes by the name of its server.
    Name,
    /// As a plugin of its own, which the host takes and runs.
    Run(Vec<u8>),
}

/// What has to become of it.
enum Expected {
    /// An answer with this status and code, and these words.
    Refused(u16, &'static str, &'static str),
    /// A failed job with this code, and these words.
    Failed(&'static str, &'static str),
    /// A job that ends well: what it did too much of was dropped.
    Completed,
}

/// Where it is seen whether the host has more memory than before.
struct Memory {
    pid: u32,
}

impl Memory {
    /// A figure of the process, in MB.
    fn figure(&self, name: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    fn now(&self) -> f64 {
        self.figure("VmRSS")
    }

    fn peak(&self) -> f64 {
        self.figure("VmHWM")
    }

    /// The peak begins again at what there is now.
    fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.pid), "5").unwrap();
    }
}

#[tokio::test]
async fn every_hostile_guest_ends_as_it_must_and_the_host_serves_on() {
    let host = TestHost::start().await;
    let guest =
        forge::described(forge::hostile(), &forge::descriptor("create-server", &["job", "ssh"]));
    let (status, added) = host.upload("accept_grants=true&replace_built_in=true", guest).await;
    assert_eq!(status, 201, "{added}");
    serves(&host, "first").await;
    let memory = Memory { pid: host.pid() };
    let first = memory.now();
    println!("\n{:<34} {:<70} MB before → after (peak)", "hostile guest", "outcome");
    let mut wrong = Vec::new();
    let guests = uploads::all().into_iter().chain(running::all()).chain(forged::all());
    for (number, guest) in guests.enumerate() {
        memory.forget_peak();
        let before = memory.now();
        let outcome = meet(&host, &guest, number).await;
        serves(&host, &format!("good-{number}")).await;
        let (after, peak) = (memory.now(), memory.peak());
        let shown: String = outcome.chars().take(70).collect();
        println!("{:<34} {shown:<70} {before:>6.0} → {after:>4.0} ({peak:.0})", guest.name);
        if !is_expected(&guest.expected, &outcome) {
            wrong.push(format!("{}: {outcome}", guest.name));
        }
        if after - before > MORE_AFTER_ONE {
            wrong.push(format!("{}: the host has {:.0} MB more", guest.name, after - before));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let more = memory.now() - first;
    assert!(more < MORE_AFTER_ALL, "the host had {first:.0} MB at first and has {more:.0} more");
}

/// What became of it, in a line.
async fn meet(host: &TestHost, guest: &Hostile, number: usize) -> String {
    let job = match &guest.door {
        Door::Upload(component) => {
            let (status, answer) = send(host, "", component).await;
            return format!("{status} {}: {}", text(&answer["code"]), text(&answer["error"]));
        }
        Door::Name => host.create_server(&guest.name).await,
        Door::Run(component) => {
            let (status, answer) = send(host, "&replace_built_in=true", component).await;
            if status != 201 {
                return format!("{status} {}: {}", text(&answer["code"]), text(&answer["error"]));
            }
            let server = format!("target-{number}");
            serves(host, &server).await;
            host.submit(Method::DELETE, &format!("/api/servers/{server}"), None).await
        }
    };
    let job = host.ended(&job).await;
    match text(&job["status"]) {
        "failed" => format!("failed {}: {}", text(&job["failure"]["code"]), text(&job["error"])),
        other => other.to_owned(),
    }
}

async fn send(host: &TestHost, more: &str, component: &[u8]) -> (u16, Value) {
    if component.len() > LARGEST {
        return announce(host, component.len());
    }
    host.upload(&format!("accept_grants=true{more}"), component.to_vec()).await
}

/// Says how much is to come, and hears the answer before that: a client that goes on sending loses
/// the connection.
fn announce(host: &TestHost, length: usize) -> (u16, Value) {
    let address = host.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    let token = host.token();
    write!(
        stream,
        "POST /api/plugins HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/wasm\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n",
        token.trim()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn is_expected(expected: &Expected, outcome: &str) -> bool {
    match expected {
        Expected::Refused(status, code, words) => {
            outcome.starts_with(&format!("{status} {code}: ")) && outcome.contains(words)
        }
        Expected::Failed(code, words) => {
            outcome.starts_with(&format!("failed {code}: ")) && outcome.contains(words)
        }
        Expected::Completed => outcome == "completed",
    }
}

/// The host answers, and runs the jobs of others.
async fn serves(host: &TestHost, server: &str) {
    assert_eq!(host.get("/health").await.0, 200);
    let job = host.ended(&host.create_server(server).await).await;
    assert_eq!(job["status"], "completed", "{job:#}");
    assert_eq!(job["result"], json!({ "done": true }));
}
