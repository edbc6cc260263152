//! One plugin with many bad manners, and some good ones to measure with.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sdk::job::{self, Level};
use sdk::{Failure, dns, http, inventory, secrets, servers, ssh, stacks};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Params {
    how: String,
    #[serde(default)]
    server: String,
    #[serde(default)]
    what: Value,
}

fn run(Params { how, server, what }: Params) -> Result<Value, Failure> {
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
        "asks-for-what-is-inside" => ask_inside(),
        "touches-another-server" => touch_another(),
        "touches" => {
            let refused = ssh::wait_ready(&server, 1000).unwrap_err();
            Ok(json!({ "code": refused.code }))
        }
        "writes-and-reads" => Ok(write_and_read(&server, &what)),
        "sleeps-for-ever" => {
            job::log(Level::Info, "waiting");
            job::sleep(u64::MAX)?;
            Ok(json!({}))
        }
        "is-nondeterministic" => ask_for_something_else(),
        "waits" => wait(),
        "waits-and-cleans-up" => wait_and_clean_up(),
        "names-things" => name_things(),
        "waits-after-naming" => wait_after_naming(),
        "uses-secrets" => use_secrets(&server),
        "fails-with-a-secret" => {
            let said = use_secrets(&server)?;
            Err(Failure::new("no_luck", format!("it does not work: {said}")))
        }
        "panics-with-a-secret" => panic!("it does not work: {}", use_secrets(&server)?),
        "steals-secrets" => Ok(steal_secrets(&server)),
        "deploys-a-stack" => deploy_stack(&server, &what),
        "removes-a-stack" => remove_stack(&server, &what),
        "does-five-things" => do_five_things(&server),
        "runs-a-command" => run_a_command(&server, &what),
        "runs-for-long" => run_for_long(&server),
        "never-gives-up" => loop {
            let _ = job::sleep(200);
        },
        "sleeps" => {
            job::log(Level::Info, "waiting");
            job::sleep(3_600_000)?;
            Ok(json!({}))
        }
        "reads-much-and-dawdles" => {
            read_much(&server)?;
            job::log(Level::Info, "waiting");
            // A clock that it looks at itself: no call that the host could end or count.
            std::thread::sleep(Duration::from_secs(3_600));
            Ok(json!({}))
        }
        "reads-much-and-waits" => {
            let read = read_much(&server)?;
            job::log(Level::Info, "waiting");
            job::sleep(2_000)?;
            Ok(json!({ "read": read }))
        }
        "works-in-steps" => work_in_steps(&server),
        "opens-the-way" => Ok(json!({ "said": exec(&server, "mkdir -p /root/way", "")? })),
        "is-deterministic" => Ok(observe()),
        "acts-on-what-it-sees" => act_on_what_it_sees(&server),
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

/// Asks for what only the host itself can reach: the code of each refusal.
fn ask_inside() -> Result<Value, Failure> {
    let ask = |url: &str| {
        let request = http::Request {
            method: "GET".to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: None,
            timeout_ms: 0,
            options: Vec::new(),
        };
        let failure = http::send(&request).unwrap_err();
        json!([failure.code, failure.message])
    };
    Ok(json!({
        "metadata": ask("http://169.254.169.254/latest/meta-data"),
        "name": ask("http://localhost/"),
        "number": ask("http://2130706433/"),
        "v6": ask("http://[::1]/"),
        "mapped": ask("http://[::ffff:127.0.0.1]/"),
        "resolves": ask("http://ip6-localhost/"),
        "not_granted": ask("https://example.com/"),
        "file": ask("file:///etc/passwd"),
    }))
}

fn touch_another() -> Result<Value, Failure> {
    let failure = ssh::wait_ready("somebody-elses", 1000).unwrap_err();
    Ok(json!({ "code": failure.code }))
}

/// Writes files with their own paths in them, and reads them: what they say, or the code of the
/// refusal.
fn write_and_read(server: &str, what: &Value) -> Value {
    let paths: Vec<String> = serde_json::from_value(what["paths"].clone()).unwrap();
    let once = |path: &String| {
        ssh::upload(server, path, path.as_bytes(), 0o600)?;
        Ok(String::from_utf8_lossy(&ssh::download(server, path)?).into_owned())
    };
    let told = |result: Result<String, Failure>| result.unwrap_or_else(|failure| failure.code);
    json!({ "read": paths.iter().map(|path| told(once(path))).collect::<Vec<_>>() })
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
    job::step("Clean up");
    job::log(Level::Info, "cleaning up");
    job::sleep(1)?;
    job::log(Level::Info, "cleaned up");
    Err(failure)
}

fn record_of(content: &str) -> dns::NewRecord {
    dns::NewRecord {
        zone: "example.com".to_owned(),
        name: "Web-1.example.com".to_owned(),
        kind: "A".to_owned(),
        content: content.to_owned(),
        options: vec![("comment".to_owned(), "for a test".to_owned())],
    }
}

/// Makes a name, changes it, looks at it, and deletes it twice.
fn name_things() -> Result<Value, Failure> {
    let zones: Vec<String> = dns::zones()?.into_iter().map(|zone| zone.name).collect();
    let made = dns::upsert(&record_of("198.18.0.7"))?;
    let changed = dns::upsert(&record_of("198.18.0.8"))?;
    let again = dns::upsert(&record_of("198.18.0.8"))?;
    let found = dns::lookup("example.com", "web-1.example.com")?;
    let refused = dns::upsert(&record_of("not an address")).unwrap_err();
    let escape = dns::delete("example.com", "../../zones").unwrap_err();
    dns::delete("example.com", &changed.id)?;
    dns::delete("example.com", &changed.id)?;
    let left = dns::lookup("example.com", "web-1.example.com")?.len();
    Ok(json!({
        "zones": zones,
        "same": made.id == changed.id && changed.id == again.id,
        "found": found.iter().map(|it| [it.name.clone(), it.content.clone()]).collect::<Vec<_>>(),
        "ours": found.iter().all(|it| it.ours),
        "properties": found.first().map(|it| it.properties.clone()),
        "refused": [refused.code, escape.code],
        "left": left,
    }))
}

/// Makes a name and waits, so that the host can be ended meanwhile.
fn wait_after_naming() -> Result<Value, Failure> {
    let made = dns::upsert(&record_of("198.18.0.7"))?;
    job::log(Level::Info, "waiting");
    job::sleep(600_000)?;
    Ok(json!({ "id": made.id }))
}

/// Makes secrets, puts them wherever they may be put, and asks for them in every way.
fn use_secrets(server: &str) -> Result<Value, Failure> {
    let password = secrets::ensure("app/password", &policy(32, "alphanumeric"))?;
    let again = secrets::ensure("app/password", &policy(64, "hex"))?;
    let hash = secrets::bcrypt(&password)?;
    let file = format!("PASSWORD={password}\nHASH={hash}\n");
    ssh::upload(server, "/root/.env", file.as_bytes(), 0o600)?;
    exec(server, "true", &password)?;
    let echoed = exec(server, "cat", &format!("it is {password}\n"))?;
    let shown = exec(server, "cat /root/.env", "")?;
    let complained = exec(server, "cat >&2", &hash);
    let read = String::from_utf8_lossy(&ssh::download(server, "/root/.env")?).into_owned();
    job::log(Level::Info, &format!("the password: {echoed}"));
    println!("{shown}");
    Ok(json!({
        "reference": password,
        "again": again,
        "hash": hash,
        "echoed": echoed,
        "shown": shown,
        "complained": complained.unwrap_or_else(|failure| failure.message),
        "read": read,
    }))
}

/// What nobody granted: the code of each refusal.
fn steal_secrets(server: &str) -> Value {
    let upload = |content: &str| {
        ssh::upload(server, "/root/stolen", content.as_bytes(), 0o600).map(|()| "got it".to_owned())
    };
    let told = |result: Result<String, Failure>| result.unwrap_or_else(|failure| failure.code);
    let password = secrets::ensure("app/password", &policy(32, "alphanumeric")).unwrap();
    json!({
        "name_not_granted": told(secrets::ensure("postgres/password", &policy(32, "hex"))),
        "name_of_a_key": told(secrets::ensure("../ssh_key", &policy(32, "hex"))),
        "policy": told(secrets::ensure("app/short", &policy(4, "hex"))),
        "reference_not_granted": told(upload(&format!("${{secret:{server}/postgres/password}}"))),
        "other_server": told(upload("${secret:somebody-elses/app/password}")),
        "unknown": told(upload(&format!("${{secret:{server}/app/unknown}}"))),
        "broken": told(upload("${secret:")),
        "hash_of_a_hash": told(secrets::bcrypt(&password.replace('}', ".bcrypt}"))),
        "command_line": told(exec(server, &format!("echo {password}"), "")),
    })
}

/// Deploys a stack with a secret in a variable and one in the file, and waits for it.
fn deploy_stack(server: &str, what: &Value) -> Result<Value, Failure> {
    let text = |field: &str| what[field].as_str().unwrap_or_default();
    let password = secrets::ensure("app/password", &policy(32, "alphanumeric"))?;
    let compose = text("compose").replace("THE_PASSWORD", &password);
    let variables = vec![("PASSWORD".to_owned(), password)];
    stacks::deploy(server, text("stack"), &compose, &variables)?;
    let stack = stacks::wait_healthy(server, text("stack"), 60_000)?;
    Ok(json!({ "status": stack.status, "properties": stack.properties }))
}

fn remove_stack(server: &str, what: &Value) -> Result<Value, Failure> {
    let (stack, data) = (what["stack"].as_str(), what["delete_data"].as_bool());
    let stack = stack.unwrap_or_default();
    stacks::remove(server, stack, data.unwrap_or_default())?;
    Ok(json!({ "status": stacks::inspect(server, stack)?.status }))
}

/// Four things outside, and one of the host's own, as operations end.
fn do_five_things(server: &str) -> Result<Value, Failure> {
    for _ in 0..4 {
        dns::upsert(&record_of("198.18.0.9"))?;
    }
    inventory::update_server(server, r#"{"setup":{"things":5}}"#)?;
    Ok(json!({}))
}

/// One command, which must end with 0.
fn run_a_command(server: &str, what: &Value) -> Result<Value, Failure> {
    let command = what["command"].as_str().unwrap_or_default();
    let timeout_ms = what["timeout_ms"].as_u64().unwrap_or_default();
    let options = ssh::ExecOptions { timeout_ms, stdin: None, log_output: true, more: Vec::new() };
    let output = ssh::exec(server, command, &options)?;
    match output.exit_code {
        0 => Ok(json!({ "said": output.stdout })),
        code => Err(Failure::new("ended", format!("it ended with {code}"))),
    }
}

/// A command, and what it starts, that go on until somebody ends them.
fn run_for_long(server: &str) -> Result<Value, Failure> {
    let command = "sleep 3600 & echo child $!; echo self $$; sleep 3600";
    let options =
        ssh::ExecOptions { timeout_ms: 3_600_000, stdin: None, log_output: true, more: Vec::new() };
    ssh::exec(server, command, &options).map(|output| json!({ "said": output.stdout }))
}

/// Reads some MiB in a few parts: what each begins with, and its length.
fn read_much(server: &str) -> Result<Vec<Value>, Failure> {
    let mut read = Vec::new();
    for part in b'a'..b'g' {
        ssh::upload(server, "/root/much", &vec![part; 500_000], 0o600)?;
        let content = ssh::download(server, "/root/much")?;
        read.push(json!([char::from(content[0]), content.len()]));
    }
    Ok(read)
}

/// Each step does something that cannot be done twice; the second needs what another job makes.
fn work_in_steps(server: &str) -> Result<Value, Failure> {
    let id = job::id();
    job::step("First");
    job::progress(30);
    job::log(Level::Info, "in the first step");
    once(server, "first")?;
    let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos().to_string();
    ssh::upload(server, "/root/began", began.as_bytes(), 0o600)?;
    job::step("Second");
    job::log(Level::Info, "in the second step");
    exec(server, "true", "")?;
    if run_on(server, "test -d /root/way")? != 0 {
        return Err(Failure::new("no_way", "make /root/way on the server"));
    }
    once(server, "second")?;
    Ok(json!({ "id": id, "began": began }))
}

/// Does what cannot be done twice.
fn once(server: &str, name: &str) -> Result<(), Failure> {
    let folder = format!("/root/{name}");
    match run_on(server, &format!("test ! -d {folder} && mkdir -p {folder}"))? {
        0 => Ok(()),
        _ => Err(Failure::new("twice", format!("{name} was done twice"))),
    }
}

fn run_on(server: &str, command: &str) -> Result<i32, Failure> {
    let options =
        ssh::ExecOptions { timeout_ms: 0, stdin: None, log_output: true, more: Vec::new() };
    ssh::exec(server, command, &options).map(|output| output.exit_code)
}

fn policy(length: u32, alphabet: &str) -> secrets::Policy {
    secrets::Policy { length, alphabet: alphabet.to_owned(), more: Vec::new() }
}

fn exec(server: &str, command: &str, stdin: &str) -> Result<String, Failure> {
    let stdin = Some(stdin.to_owned());
    let options = ssh::ExecOptions { timeout_ms: 0, stdin, log_output: true, more: Vec::new() };
    ssh::exec(server, command, &options).map(|output| output.stdout + &output.stderr)
}

/// Sends all that it can look at to the server, again and again: what it asks for is the same in
/// each attempt only if what it sees is.
fn act_on_what_it_sees(server: &str) -> Result<Value, Failure> {
    let mut seen = Vec::new();
    for round in 0..4_u32 {
        let now = observe();
        let words: Vec<&str> =
            now["order"].as_array().into_iter().flatten().flat_map(Value::as_str).collect();
        let number = words.first().and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
        ssh::upload(server, &format!("/root/seen-{round}"), now.to_string().as_bytes(), 0o600)?;
        exec(server, &format!("echo {} {}", now["random"], now["elapsed"]), "")?;
        job::sleep(number % 7 + 1)?;
        seen.push(now);
    }
    Ok(json!({ "seen": seen }))
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
    std::thread::sleep(Duration::from_millis(5));
    let _ = job::sleep(5);
    let float = (0..1000).map(|n| f64::from(n).sqrt().sin()).sum::<f64>();
    let zero = std::hint::black_box(0.0_f64);
    let nans = [zero / zero, (-1.0_f64 - zero).sqrt(), f64::INFINITY * zero];
    json!({
        "order": order,
        "random": RandomState::new().build_hasher().finish().to_string(),
        "nans": nans.map(|nan| nan.to_bits().to_string()),
        "thread": format!("{:?}", std::thread::current().id()),
        "wall": wall,
        "elapsed": began.elapsed().as_nanos().to_string(),
        "float": float.to_bits().to_string(),
        "environment": std::env::vars().count(),
        "arguments": std::env::args().count(),
    })
}

sdk::operation!(run);
