//! Every function of the contract has a class that says what is done when the host dies after it was
//! sent and before its outcome is on disk, and each one that changes something is killed there: in
//! `windlass torture`, or here. Made from `wit/`, so that a new function cannot be forgotten.

mod memory;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tests::bench::{AppJob, Bench};
use windlass::app::evidence;
use windlass::effects::containers::RunInContainer;
use windlass::effects::http::{Ask, Exchange, Order, Repeat};
use windlass::effects::secrets::{EnsureBcrypt, EnsureSecret, Policy};
use windlass::effects::sleep::Sleep;
use windlass::effects::ssh::{Exec, Upload};
use windlass::effects::unsupported::Unsupported;
use windlass::effects::{
    self, Effect, Stop, apps, databases, dns, inventory, servers, ssh, stacks,
};
use windlass::model::failure::Failure;
use windlass::model::journal::Class;

/// Functions that reach nothing outside: they tell people, or answer from what the job knows.
const TELLING: [&str; 6] =
    ["job.cancelled", "job.id", "job.log", "job.plan", "job.progress", "job.step"];

/// Functions that this host does not have yet.
const NOT_YET: [&str; 1] = ["servers.set-firewall"];

/// Functions that share the effect of another one.
const SHARED: [(&str, &str); 1] = [("servers.list", "inventory.list-servers")];

/// What changes something and is killed between sending and outcome in `windlass torture`.
pub(super) const TORTURED: [&str; 16] = [
    "databases.drop",
    "databases.ensure",
    "dns.delete",
    "dns.upsert",
    "inventory.delete-app",
    "inventory.put-app",
    "inventory.remove-server",
    "inventory.update-server",
    "secrets.ensure",
    "servers.create",
    "servers.delete",
    "servers.delete-ssh-key",
    "servers.ensure-ssh-key",
    "ssh.exec",
    "stacks.deploy",
    "stacks.remove",
];

/// What no built-in operation does on the sandbox: killed here.
const KILLED_HERE: [&str; 4] = ["http.send", "secrets.bcrypt", "ssh.upload", "stacks.run"];

/// The classes of each function; one whose request decides has several.
fn classes() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    const fn of<E: Effect>() -> (&'static str, Class) {
        (E::FUNCTION, E::CLASS)
    }
    let effects = [
        of::<Ask>(),
        of::<EnsureBcrypt>(),
        of::<EnsureSecret>(),
        of::<Exec>(),
        of::<Order>(),
        of::<Repeat>(),
        of::<RunInContainer>(),
        of::<Sleep>(),
        of::<Unsupported>(),
        of::<Upload>(),
        of::<apps::ListApps>(),
        of::<apps::ReadApp>(),
        of::<apps::RemoveApp>(),
        of::<apps::UpdateApp>(),
        of::<databases::DropDatabase>(),
        of::<databases::EnsureDatabase>(),
        of::<dns::DeleteRecord>(),
        of::<dns::ListZones>(),
        of::<dns::LookUp>(),
        of::<dns::UpsertRecord>(),
        of::<inventory::ListServers>(),
        of::<inventory::ReadServer>(),
        of::<inventory::RemoveServer>(),
        of::<inventory::UpdateServer>(),
        of::<servers::CreateServer>(),
        of::<servers::DeleteServer>(),
        of::<servers::DeleteSshKey>(),
        of::<servers::EnsureSshKey>(),
        of::<servers::GetServer>(),
        of::<servers::WaitRunning>(),
        of::<ssh::Download>(),
        of::<ssh::WaitReady>(),
        of::<stacks::Deploy>(),
        of::<stacks::Inspect>(),
        of::<stacks::Remove>(),
        of::<stacks::WaitHealthy>(),
    ];
    let mut classes = BTreeMap::<_, BTreeSet<_>>::new();
    for (function, class) in effects {
        let class = match class {
            Class::Read => "read",
            Class::Put => "put",
            Class::Create => "create",
            Class::Delete => "delete",
            Class::Exec => "exec",
            Class::Opaque => "opaque",
        };
        classes.entry(function).or_default().insert(class);
    }
    classes
}

/// `interface.function` of everything that the contract lets plugins call.
fn contract() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let mut functions = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let mut interface = None;
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("interface ") {
                interface = Some(name.trim_end_matches(['{', ' ']).to_owned());
            }
            let is_called = line.contains(": func(") && !line.starts_with("export ");
            if let (true, Some(interface)) = (is_called, &interface) {
                let (name, _) = line.split_once(':').unwrap();
                functions.insert(format!("{interface}.{}", name.trim_start_matches('%')));
            }
        }
    }
    functions
}

#[test]
fn every_function_of_the_contract_has_a_class() {
    let mut known: BTreeSet<String> = classes().into_keys().map(str::to_owned).collect();
    assert!(known.remove(Unsupported::FUNCTION), "there is one for what there is not yet");
    for (function, effect) in SHARED {
        assert!(known.contains(effect), "{effect}");
        known.insert(function.to_owned());
    }
    known.extend(TELLING.into_iter().chain(NOT_YET).map(str::to_owned));
    assert_eq!(contract(), known);
}

#[test]
fn every_function_that_changes_something_is_killed_between_its_sending_and_its_outcome() {
    let changing = classes().into_iter().filter(|(_, classes)| *classes != ["read"].into());
    let changing: BTreeSet<&str> = changing.map(|(function, _)| function).collect();
    let killed: BTreeSet<&str> = TORTURED.into_iter().chain(KILLED_HERE).collect();
    assert_eq!(changing, killed);
}

/// A job with one effect whose host dies before the outcome is on disk: what it was answered, and
/// what the next host is.
async fn killed<E: Effect>(
    bench: &Bench,
    effect: &E,
) -> (Result<Value, Failure>, Result<Result<Value, Failure>, Stop>) {
    assert!(KILLED_HERE.contains(&E::FUNCTION), "{} is not in the list", E::FUNCTION);
    let told = |answer: Result<E::Answer, Failure>| answer.map(|it| json!(it));
    let job = bench.app_job("shop", &[], false).await;
    let first = told(job.perform(effect).await);
    bench.forget_outcome(&job, E::FUNCTION).await;
    let job: AppJob = bench.restarted(job).await;
    let again = effects::perform(&job.context, effect).await.map(told);
    bench.end(job).await;
    (first, again)
}

/// The same of one that is done again, or found, as if nothing had happened.
async fn survives<E: Effect>(bench: &Bench, effect: &E) -> Value {
    let (first, again) = killed(bench, effect).await;
    let first = first.unwrap();
    assert_eq!(again.unwrap().unwrap(), first, "{}", E::FUNCTION);
    first
}

fn upload(path: &str, content: &str) -> Upload {
    let (server, content) = ("web-1".parse().unwrap(), content.as_bytes().to_vec());
    Upload { server, path: path.to_owned(), content, mode: 0o600 }
}

fn exchange(method: &str) -> Exchange {
    Exchange {
        method: method.parse().unwrap(),
        url: "https://shop.example.com/orders".parse().unwrap(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout: Duration::from_secs(20),
        via: Some("web-1".parse().unwrap()),
    }
}

#[tokio::test]
async fn a_file_is_written_again_and_is_the_same() {
    let bench = Bench::simulated().await;
    survives(&bench, &upload("/root/file", "content")).await;
    let there = evidence::read(bench.home()).unwrap();
    assert_eq!(there["there: /root/file on web-1"], 1);
}

#[tokio::test]
async fn a_hash_is_made_once() {
    let bench = Bench::simulated().await;
    let job = bench.app_job("shop", &[], false).await;
    let policy = Policy::new(32, "alphanumeric").unwrap();
    let secret = EnsureSecret { name: "shop/password".parse().unwrap(), policy };
    let reference = job.perform(&secret).await.unwrap().parse().unwrap();
    bench.end(job).await;
    survives(&bench, &EnsureBcrypt { reference }).await;
}

#[tokio::test]
async fn a_request_that_may_be_sent_twice_is_and_any_other_asks_a_person() {
    let bench = Bench::simulated().await;
    assert_eq!(survives(&bench, &Repeat(exchange("PUT"))).await["status"], 200);
    let (first, again) = killed(&bench, &Order(exchange("POST"))).await;
    assert_eq!(first.unwrap()["status"], 200);
    assert!(matches!(again, Err(Stop::Uncertain(_))), "{again:?}");
}

#[tokio::test]
async fn a_command_in_a_container_is_run_once() {
    let bench = Bench::simulated().await;
    let job = bench.app_job("shop", &[], false).await;
    let folder = Exec {
        server: "web-1".parse().unwrap(),
        command: "mkdir -p /var/lib/windlass".to_owned(),
        stdin: None,
        timeout: Duration::from_secs(60),
        lines: None,
    };
    assert_eq!(job.perform(&folder).await.unwrap().exit_code, 0);
    // A machine of the sandbox that runs the stack.
    let state = json!({
        "is_updated": true, "timezone": "UTC", "has_docker": true, "address": "198.18.0.7",
        "networks": [], "secrets": [],
        "stacks": { "shop": { "digest": "", "services": [["web", "shop:1.2", 1]] } },
    });
    let state = upload("/var/lib/windlass/simulated.json", &state.to_string());
    job.perform(&state).await.unwrap();
    bench.end(job).await;
    evidence::begin(bench.home()).unwrap();
    let run = RunInContainer {
        server: "web-1".parse().unwrap(),
        name: "shop".parse().unwrap(),
        service: "web".to_owned(),
        arguments: vec!["migrate".to_owned()],
        stdin: None,
        timeout: Duration::from_secs(60),
        lines: None,
    };
    let ran = survives(&bench, &run).await;
    assert_eq!(ran["exit_code"], 0, "{ran}");
    let done = evidence::read(bench.home()).unwrap();
    let runs: Vec<_> = done.iter().filter(|(what, _)| what.contains("did: exec")).collect();
    assert!(matches!(runs[..], [(_, 1)]), "{runs:?}");
}
