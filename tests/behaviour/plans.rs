//! Plans at the doors: what would be done is told, nothing is done, and what is begun by a plan is
//! what the plan said.

use std::path::Path;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::agent::Agent;
use tests::fake_cloudflare::{FakeCloudflare, Options as Cloudflare};
use tests::fake_hetzner::{self, FakeHetzner, Fault, Harm};
use tests::host_process::{TestHost, program};

/// A server that is wanted on the sandbox.
fn server(name: &str) -> Value {
    json!({ "name": name, "server_type": "cx23", "region": "nbg1" })
}

async fn host_with_server() -> TestHost {
    let host = TestHost::start().await;
    let job = host.create_server("web-1").await;
    host.wait_for(&job, "completed").await;
    host
}

async fn set_up(host: &TestHost) {
    let body = json!({ "ssl_email": "ops@example.com", "zone_name": "example.com" });
    let job = host.submit(Method::POST, "/api/servers/web-1/setup", Some(body)).await;
    host.wait_for(&job, "completed").await;
}

/// All that a plan must leave as it is: jobs, servers, apps, and the sandbox's files.
async fn everything(host: &TestHost) -> Value {
    let (mut all, paths) = (Vec::new(), ["/api/jobs", "/api/servers", "/api/plugins"]);
    for path in paths {
        all.push(host.get(path).await.1);
    }
    all.push(host.get("/api/servers/web-1/apps").await.1["apps"].clone());
    // Looking at apps asks the server, and the time of that is shown.
    for app in all[3].as_array_mut().into_iter().flatten() {
        app["checked_at"] = Value::Null;
    }
    json!([all, files(&host.home().join("sandbox"))])
}

/// The files below this folder with their contents, but for what looking leaves.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.ends_with("receipts") {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = std::fs::read(&path).expect("a file");
            found.push((path.display().to_string(), String::from_utf8_lossy(&content).into()));
        }
    }
    found.sort();
    found
}

async fn plan(host: &TestHost, path: &str, body: Value) -> Value {
    let (status, plan) = host.post(&format!("{path}?plan=true"), body).await;
    assert_eq!(status, 200, "{plan:#}");
    plan
}

/// The functions of all effects, in order.
fn functions(plan: &Value) -> Vec<&str> {
    let jobs = plan["jobs"].as_array().expect("jobs").iter();
    let effects = jobs.flat_map(|job| job["effects"].as_array().expect("effects"));
    effects.map(|effect| effect["function"].as_str().expect("a name")).collect()
}

/// What the journal of a job says that it changed, in order.
async fn done(host: &TestHost, job: &str) -> Vec<String> {
    let (_, journal) = host.get(&format!("/api/jobs/{job}/journal")).await;
    let entries = journal["entries"].as_array().expect("entries").iter();
    let effects = entries.filter(|entry| entry["kind"] == "intent");
    effects.map(|effect| effect["function"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn a_server_is_planned_with_its_price_and_nothing_is_made() {
    let host = TestHost::start().await;
    let before = everything(&host).await;
    let plan = plan(&host, "/api/servers", server("web-1")).await;
    assert_eq!(everything(&host).await, before);
    assert!(functions(&plan).contains(&"servers.create"), "{plan:#}");
    let planned = &plan["servers"][0];
    assert_eq!(planned["price_monthly"], json!({ "amount": "4.15", "currency": "EUR" }));
    assert_eq!((&planned["name"], &planned["provider"]), (&json!("web-1"), &json!("sandbox")));
    let job = &plan["jobs"][0];
    assert_eq!((&job["type"], &job["outcome"]), (&json!("create_server"), &json!("completed")));
    assert!(job["effects"].to_string().contains("order the server `web-1`: cx23 in nbg1"));
    assert!(
        !host.home().join("rehearsals").exists() || {
            std::fs::read_dir(host.home().join("rehearsals")).unwrap().next().is_none()
        }
    );
}

#[tokio::test]
async fn a_job_does_what_its_plan_says() {
    let host = TestHost::start().await;
    let told = plan(&host, "/api/servers", server("web-1")).await;
    let job = host.create_server("web-1").await;
    host.wait_for(&job, "completed").await;
    assert_eq!(functions(&told), done(&host, &job).await);
    let body = json!({ "ssl_email": "ops@example.com", "zone_name": "example.com" });
    let told = plan(&host, "/api/servers/web-1/setup", body.clone()).await;
    let job = host.submit(Method::POST, "/api/servers/web-1/setup", Some(body)).await;
    host.wait_for(&job, "completed").await;
    assert_eq!(functions(&told), done(&host, &job).await);
    let told = plan(&host, "/api/servers/web-1/apps", json!({ "app_name": "n8n" })).await;
    let (_, begun) = host.post("/api/servers/web-1/apps", json!({ "app_name": "n8n" })).await;
    let before = begun["depends_on"].as_array().expect("jobs").iter();
    let mut all = Vec::new();
    for job in before.chain([&begun["job_id"]]) {
        let job = job.as_str().expect("an id");
        host.wait_for(job, "completed").await;
        all.extend(done(&host, job).await);
    }
    assert_eq!(functions(&told), all);
}

#[tokio::test]
async fn an_app_is_planned_with_what_it_needs_and_what_would_be_made() {
    let host = host_with_server().await;
    set_up(&host).await;
    let before = everything(&host).await;
    let plan = plan(&host, "/api/servers/web-1/apps", json!({ "app_name": "n8n" })).await;
    assert_eq!(everything(&host).await, before);
    let jobs = plan["jobs"].as_array().expect("jobs").iter();
    let kinds: Vec<_> = jobs.map(|job| job["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds.last(), Some(&"deploy_app:n8n"), "{plan:#}");
    assert!(kinds.contains(&"deploy_app:postgres"), "{kinds:?}");
    let secrets = plan["secrets"].to_string();
    assert!(secrets.contains("web-1/n8n/"), "{secrets}");
    assert_eq!(plan["databases"][0]["engine"], "postgres", "{plan:#}");
    let names = plan["names"].to_string();
    assert!(names.contains(".example.com") && names.contains("CNAME"), "{names}");
    assert!(!plan["jobs"][0]["grants"]["interfaces"].as_array().expect("grants").is_empty());
}

#[tokio::test]
async fn the_same_plan_has_the_same_hash_and_starts_just_that() {
    let host = host_with_server().await;
    set_up(&host).await;
    let wanted = json!({ "app_name": "redis" });
    let first = plan(&host, "/api/servers/web-1/apps", wanted.clone()).await;
    let second = plan(&host, "/api/servers/web-1/apps", wanted.clone()).await;
    assert_eq!(first["plan_hash"], second["plan_hash"]);
    let hash = first["plan_hash"].as_str().expect("a hash");
    let path = format!("/api/servers/web-1/apps?if_plan={hash}");
    let (status, refused) = host.post(&path, json!({ "app_name": "postgres" })).await;
    assert_eq!((status, &refused["code"]), (409, &json!("plan_changed")), "{refused}");
    assert!(refused["error"].as_str().expect("a sentence").starts_with("Nothing was started"));
    let request = || host.request(Method::POST, &path).header("Idempotency-Key", "once");
    let (status, begun) = host.answer(request().json(&wanted)).await;
    assert_eq!(status, 202, "{begun}");
    host.wait_for(begun["job_id"].as_str().expect("an id"), "completed").await;
    // Its plan is another one by now, and the same request is the same job all the same.
    let (status, again) = host.answer(request().json(&wanted)).await;
    assert_eq!((status, &again["job_id"]), (202, &begun["job_id"]), "{again}");
    let (status, late) = host.post(&path, wanted).await;
    assert_eq!((status, &late["code"]), (409, &json!("plan_changed")), "{late}");
}

#[tokio::test]
async fn of_clients_that_begin_by_the_same_plan_at_once_only_one_does() {
    let host = host_with_server().await;
    let body = json!({ "ssl_email": "ops@example.com", "zone_name": "example.com" });
    let told = plan(&host, "/api/servers/web-1/setup", body.clone()).await;
    let hash = told["plan_hash"].as_str().expect("a hash");
    let path = format!("/api/servers/web-1/setup?if_plan={hash}");
    // All of them look at the plan before the first has begun, or may.
    let answers = join_all((0..6).map(|_| host.post(&path, body.clone()))).await;
    let (begun, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|(status, _)| *status == 202);
    assert_eq!(begun.len(), 1, "{answers:#?}");
    for (status, refused) in refused {
        assert_eq!((*status, &refused["code"]), (409, &json!("plan_changed")), "{refused}");
    }
    let job = begun[0].1["job_id"].as_str().expect("an id");
    let done = host.wait_for(job, "completed").await;
    assert_eq!(done["plugin"], told["jobs"][0]["plugin"], "{done:#}");
    let (_, jobs) = host.get("/api/jobs?type=setup_server").await;
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(1), "{jobs:#}");
}

#[tokio::test]
async fn agents_that_begin_by_the_same_plan_at_once_get_the_same_job() {
    let host = TestHost::start().await;
    let agent = Agent::of(&host);
    let mut wanted = server("web-1");
    wanted["plan"] = json!(true);
    let told = agent.does("criar-servidor", wanted.clone()).await;
    wanted["plan"] = json!(false);
    wanted["if_plan"] = told["plan_hash"].clone();
    let (one, other) = tokio::join!(
        agent.call("criar-servidor", wanted.clone()),
        agent.call("criar-servidor", wanted.clone())
    );
    // Whoever comes when it is done is told that there is such a server.
    let started = [one, other].into_iter().filter(|it| it["isError"] == false);
    let jobs: Vec<Value> = started.map(|it| it["structuredContent"]["job_id"].clone()).collect();
    assert!(!jobs.is_empty() && jobs.iter().all(|job| *job == jobs[0]), "{jobs:?}");
    host.wait_for(jobs[0].as_str().expect("an id"), "completed").await;
    let (_, all) = host.get("/api/jobs").await;
    assert_eq!(all["jobs"].as_array().map(Vec::len), Some(1), "{all:#}");
}

#[tokio::test]
async fn deleting_is_planned_and_what_would_be_refused_is_refused() {
    let host = host_with_server().await;
    let before = everything(&host).await;
    let (status, plan) = host.delete("/api/servers/web-1?plan=true").await;
    assert_eq!(status, 200, "{plan:#}");
    assert!(functions(&plan).contains(&"servers.delete"), "{plan:#}");
    let (status, refused) = host.delete("/api/servers/none?plan=true").await;
    assert_eq!((status, &refused["code"]), (404, &json!("no_such_server")));
    let (status, refused) = host.post("/api/servers?plan=true", server("web-1")).await;
    assert_eq!((status, &refused["code"]), (409, &json!("server_exists")));
    assert_eq!(everything(&host).await, before);
}

#[tokio::test]
async fn a_retry_is_told_with_what_it_takes_over_and_nothing_is_done() {
    let (cloud, host) = FakeHetzner::with_host(fake_hetzner::Options::default()).await;
    cloud.inject(Fault::on("GET /actions", Harm::refuse(403, "forbidden")).times(1));
    let mut order = server("web-1");
    order["keep_on_failure"] = json!(true);
    let failed = host.submit(Method::POST, "/api/servers", Some(order)).await;
    host.wait_for(&failed, "failed").await;
    let before = everything(&host).await;
    let path = format!("/api/jobs/{failed}/retry");
    for body in [json!({}), json!({ "from": "start" })] {
        let told = plan(&host, &path, body.clone()).await;
        assert_eq!(told["retry_of"], json!(failed), "{told:#}");
        let how = |function: &str| {
            let mut effects = told["effects"].as_array().expect("effects").iter();
            effects.find(|it| it["function"] == function).map(|it| it["how"].clone())
        };
        let is_start = body["from"] == "start";
        let (order, key) = if is_start { ("looked_up", "anew") } else { ("reused", "reused") };
        assert_eq!(how("servers.create"), Some(json!(order)), "{told:#}");
        assert_eq!(how("servers.ensure-ssh-key"), Some(json!(key)), "{told:#}");
        assert_eq!(told["plugin"].is_null(), is_start, "{told:#}");
    }
    assert_eq!(everything(&host).await, before);
    let (code, said) = run(&host.home(), &["plan", "retry", &failed]);
    assert!(code == Some(0) && said.contains("servers.create is reused"), "{said}");
    let (status, refused) = host.post(&format!("{path}?if_plan=00"), json!({})).await;
    assert_eq!((status, &refused["code"]), (422, &json!("invalid_request")), "{refused}");
    // It is what is done then, and it cannot be done twice.
    let told = plan(&host, &path, json!({})).await;
    let (_, begun) = host.post(&path, json!({})).await;
    assert_eq!(begun["effects"], told["effects"], "{begun:#}");
    let (status, refused) = host.post(&format!("{path}?plan=true"), json!({})).await;
    assert_eq!((status, &refused["code"]), (409, &json!("already_retried")), "{refused}");
}

#[tokio::test]
async fn what_has_no_plan_is_not_done_instead() {
    let host = host_with_server().await;
    let body = json!({ "command": "touch /tmp/x" });
    for flag in ["plan=true", "if_plan=00", "plan"] {
        let (status, refused) =
            host.post(&format!("/api/servers/web-1/exec?{flag}"), body.clone()).await;
        assert_eq!((status, &refused["code"]), (422, &json!("invalid_request")), "{refused}");
    }
    let (status, _) = host.post("/api/servers?planned=true", server("web-2")).await;
    assert_eq!(status, 422);
    assert_eq!(host.get("/api/servers/web-2").await.0, 404);
}

#[tokio::test]
async fn a_plan_of_a_real_server_orders_nothing_and_finds_the_names_that_are_taken() {
    let hetzner = FakeHetzner::start(fake_hetzner::Options::default()).await;
    let cloudflare = FakeCloudflare::start(Cloudflare::default()).await;
    let zone = cloudflare.add_zone("example.com", "ours");
    cloudflare.add_record(&zone, "A", "ptn.example.com", "192.0.2.1");
    let host = TestHost::start().await;
    let access = json!({ "name": "hetzner", "token": hetzner.token(), "endpoint": hetzner.url(),
        "default": true });
    assert_eq!(host.post("/api/config/provider", access).await.0, 200);
    let access = json!({ "api_token": cloudflare.options().token, "endpoint": cloudflare.url() });
    assert_eq!(host.post("/api/config/cloudflare", access).await.0, 200);
    let told = plan(&host, "/api/servers", server("web-1")).await;
    assert_eq!(told["servers"][0]["provider"], "hetzner", "{told:#}");
    assert!(told["servers"][0]["price_monthly"]["amount"].is_string(), "{told:#}");
    let requests = hetzner.requests();
    assert!(requests.keys().all(|request| request.starts_with("GET")), "{requests:?}");
    // Its machine never answers: the job is under way for as long as this test takes.
    let job = host.create_server("web-1").await;
    host.until("/api/servers/web-1", |server| server["provider_id"].is_string()).await;
    let (writes, count) = (cloudflare.writes(), hetzner.count("POST /servers"));
    let body = json!({ "ssl_email": "ops@example.com", "zone_name": "example.com" });
    let told = plan(&host, "/api/servers/web-1/setup", body).await;
    assert_eq!(told["after"], json!([job]), "{told:#}");
    assert!(functions(&told).contains(&"ssh.exec"), "{told:#}");
    assert_eq!(told["jobs"][0]["outcome"], "failed", "{told:#}");
    let taken = told["names"][0]["taken"].as_str().expect("somebody has it");
    assert!(taken.contains("192.0.2.1"), "{taken}");
    assert_eq!((cloudflare.writes(), hetzner.count("POST /servers")), (writes, count));
}

fn run(home: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = program().arg("--home").arg(home).args(arguments).output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn the_command_line_tells_a_plan_and_starts_only_that() {
    let host = host_with_server().await;
    let (code, said) = run(&host.home(), &["plan", "server", "delete", "web-1"]);
    assert_eq!(code, Some(0), "{said}");
    let hash = said.trim_end().rsplit(' ').next().expect("a hash").to_owned();
    let (code, refused) =
        run(&host.home(), &["server", "delete", "web-1", "--if-plan", "0000000000000000"]);
    assert!(code == Some(4) && refused.contains(&hash), "{refused}");
    let (code, refused) = run(&host.home(), &["server", "delete", "web-1", "--if-plan", "x"]);
    assert_eq!(code, Some(2), "{refused}");
    let (code, done) = run(&host.home(), &["server", "delete", "web-1", "--if-plan", &hash]);
    assert_eq!(code, Some(0), "{done}");
    assert_eq!(host.get("/api/servers/web-1").await.0, 404);
}

#[tokio::test]
async fn an_agent_is_told_a_plan_without_being_asked_to_confirm_anything() {
    let host = host_with_server().await;
    let agent = Agent::of(&host);
    let before = everything(&host).await;
    let told = agent.does("destruir-servidor", json!({ "name": "web-1", "plan": true })).await;
    assert_eq!((&told["status"], told["job_id"].is_null()), (&json!("planned"), true), "{told:#}");
    let effects = told["effects"].to_string();
    assert!(effects.contains("delete the server `web-1` at its provider"), "{told:#}");
    assert_eq!(everything(&host).await, before);
    let mut wanted = server("web-2");
    wanted["if_plan"] = json!("0000000000000000");
    let refused = agent.refuses("criar-servidor", wanted.clone()).await;
    assert!(refused.contains("0000000000000000"), "{refused}");
    wanted["if_plan"] = Value::Null;
    wanted["plan"] = json!(true);
    let told = agent.does("criar-servidor", wanted.clone()).await;
    assert_eq!(told["servers"][0]["price_monthly"]["amount"], "4.15", "{told:#}");
    wanted["plan"] = json!(false);
    wanted["if_plan"] = told["plan_hash"].clone();
    let begun = agent.does("criar-servidor", wanted).await;
    host.wait_for(begun["job_id"].as_str().expect("an id"), "completed").await;
}

#[tokio::test]
async fn who_may_not_lift_a_protection_does_not_get_past_it_by_force() {
    let host = host_with_server().await;
    set_up(&host).await;
    let (_, begun) = host.post("/api/servers/web-1/apps", json!({ "app_name": "redis" })).await;
    host.wait_for(begun["job_id"].as_str().expect("an id"), "completed").await;
    let body = json!({ "name": "ops", "scope": "operate" });
    let token = host.post("/api/tokens", body).await.1["token"].as_str().expect("one").to_owned();
    let delete = || host.bare_request(Method::DELETE, "/api/servers/web-1?force=true");
    let (status, refused) = host.answer(delete().bearer_auth(&token)).await;
    assert_eq!((status, &refused["code"]), (409, &json!("deletion_protected")), "{refused}");
    let lift = json!({ "deletion_protection": "off" });
    let change = host.bare_request(Method::PATCH, "/api/servers/web-1").json(&lift);
    assert_eq!(host.answer(change.bearer_auth(&token)).await.0, 403);
    let change = host.request(Method::PATCH, "/api/servers/web-1").json(&lift);
    assert_eq!(host.answer(change).await.0, 200);
    let (status, begun) = host.answer(delete().bearer_auth(&token)).await;
    assert_eq!(status, 202, "{begun}");
}

/// Makes the simulated servers of a home that is not in use be real ones of Hetzner's, on record.
fn call_them_real(home: &Path) {
    let database = rusqlite::Connection::open(home.join("windlass.db")).expect("a database");
    let change = "UPDATE servers SET record =
                  json_set(record, '$.provider', 'hetzner', '$.simulated', json('false'))";
    assert_eq!(database.execute(change, []).expect("it can be changed"), 1);
}

#[tokio::test]
async fn a_real_server_is_planned_for_as_far_as_its_record_tells_it() {
    let hetzner = FakeHetzner::start(fake_hetzner::Options::default()).await;
    let cloudflare = FakeCloudflare::start(Cloudflare::default()).await;
    cloudflare.add_zone("example.com", "ours");
    let mut host = host_with_server().await;
    set_up(&host).await;
    let (_, begun) = host.post("/api/servers/web-1/apps", json!({ "app_name": "postgres" })).await;
    host.wait_for(begun["job_id"].as_str().expect("an id"), "completed").await;
    host.terminate().await;
    call_them_real(&host.home());
    host.restart().await;
    let access = json!({ "name": "hetzner", "token": hetzner.token(), "endpoint": hetzner.url() });
    assert_eq!(host.post("/api/config/provider", access).await.0, 200);
    let access = json!({ "api_token": cloudflare.options().token, "endpoint": cloudflare.url() });
    assert_eq!(host.post("/api/config/cloudflare", access).await.0, 200);
    let told = plan(&host, "/api/servers/web-1/apps", json!({ "app_name": "n8n" })).await;
    let jobs = told["jobs"].as_array().expect("jobs");
    assert!(jobs.iter().all(|job| job["outcome"] == "completed"), "{told:#}");
    let kinds: Vec<_> = jobs.iter().map(|job| job["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds, ["deploy_app:redis", "deploy_app:n8n"], "what is there is used");
    assert_eq!(told["databases"][0]["name"], "n8n", "{told:#}");
    assert_eq!(told["names"].as_array().map(Vec::len), Some(2), "{told:#}");
    let (status, told) = host.delete("/api/servers/web-1?force=true&plan=true").await;
    assert_eq!((status, &told["jobs"][0]["outcome"]), (200, &json!("completed")), "{told:#}");
    assert!(functions(&told).contains(&"servers.delete"), "{told:#}");
    assert_eq!(cloudflare.writes(), 0);
    let requests = hetzner.requests();
    assert!(requests.keys().all(|request| request.starts_with("GET")), "{requests:?}");
}
