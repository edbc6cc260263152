//! Which tools a host has, and what it calls them, as it is told.

use std::path::Path;

use serde_json::{Value, json};
use tests::agent::{Agent, Wire};
use tests::fake_hetzner::{self, FakeHetzner};
use tests::host_process::TestHost;

use super::calls::{check, schemas};
use super::stdio::{Proxy, hello};
use super::{host_with, make, token, wanted};

/// The tools that a host has only when it is told: name, reads only, destroys, reaches out.
const MORE: [(&str, bool, bool, bool); 4] = [
    ("cancelar-job", false, true, true),
    ("repetir-job", false, false, true),
    ("logs-job", true, false, false),
    ("listar-tipos-servidor", true, false, true),
];
const WITH_JOBS: (&str, &str) = ("WINDLASS_MCP_TOOLSETS", "core,jobs");
const IN_ENGLISH: (&str, &str) = ("WINDLASS_MCP_TOOL_NAMES", "en");

/// The English name of every tool, beside its usual one.
const ENGLISH: [(&str, &str); 20] = [
    ("inicializar-sistema", "initialize-system"),
    ("configurar-provider", "configure-provider"),
    ("configurar-cloudflare", "configure-cloudflare"),
    ("verificar-job", "check-job"),
    ("listar-jobs", "list-jobs"),
    ("aguardar-job-completo", "wait-for-job"),
    ("criar-servidor", "create-server"),
    ("listar-servidores", "list-servers"),
    ("detalhes-servidor", "server-details"),
    ("configurar-servidor-completo", "set-up-server"),
    ("executar-comando-ssh", "run-ssh-command"),
    ("destruir-servidor", "destroy-server"),
    ("listar-apps-disponiveis", "list-available-apps"),
    ("instalar-app", "install-app"),
    ("listar-apps-instaladas", "list-installed-apps"),
    ("desinstalar-app", "remove-app"),
    ("cancelar-job", "cancel-job"),
    ("repetir-job", "retry-job"),
    ("logs-job", "job-logs"),
    ("listar-tipos-servidor", "list-server-types"),
];

async fn tools(agent: &Agent) -> Vec<Value> {
    let mut list = agent.ask("tools/list", json!({})).await.result();
    list["tools"].as_array_mut().map(std::mem::take).expect("tools")
}

fn names(tools: &[Value]) -> Vec<&str> {
    tools.iter().map(|tool| tool["name"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn the_tools_for_jobs_are_there_only_where_that_is_set() {
    let (plain, more) = (TestHost::start().await, host_with(&[WITH_JOBS]).await);
    let (usual, all) = (tools(&Agent::of(&plain)).await, tools(&Agent::of(&more)).await);
    assert_eq!(usual, all[..16], "the others stay as they are");
    let hints = |tool: &Value| {
        let hint = |name: &str| tool["annotations"][name].as_bool().expect("each hint is said");
        assert!(hint("idempotentHint"), "{tool}");
        (hint("readOnlyHint"), hint("destructiveHint"), hint("openWorldHint"))
    };
    let found: Vec<_> = all[16..].iter().map(hints).collect();
    assert_eq!(names(&all[16..]), MORE.map(|(name, ..)| name));
    assert_eq!(found, MORE.map(|(_, reads, destroys, reaches)| (reads, destroys, reaches)));
    let bytes = Value::from(all.clone()).to_string().len();
    println!("tools/list with the toolset jobs: {bytes} bytes, about {} tokens", bytes / 4);
    assert!(bytes <= 20_000, "{bytes} bytes");
    for (name, ..) in MORE {
        let params = json!({ "name": name, "arguments": { "job_id": "x" } });
        let reply = Agent::of(&plain).ask("tools/call", params).await;
        assert_eq!(reply.error().0, -32_602, "{name}: {reply:?}");
    }
}

/// A host with the tools for jobs, and a job that goes on until somebody stops it.
async fn host_with_job() -> (TestHost, FakeHetzner, String) {
    let cloud = FakeHetzner::start(fake_hetzner::Options::default()).await;
    let url = cloud.url();
    let host = host_with(&[("HCLOUD_ENDPOINT", &*url), WITH_JOBS]).await;
    let config = json!({ "name": "hetzner", "token": cloud.token(), "default": true });
    assert_eq!(host.post("/api/config/provider", config).await.0, 200);
    let job = host.create_server("web-1").await;
    host.wait_for(&job, "running").await;
    (host, cloud, job)
}

#[tokio::test]
async fn an_agent_stops_a_job_reads_its_log_and_tries_it_again_once() {
    let (host, _cloud, job) = host_with_job().await;
    for wire in [Wire::Legacy, Wire::Modern] {
        let agent = Agent::of(&host).on(wire);
        let schemas = schemas(&agent).await;
        let does = async |tool, arguments| check(&agent, &schemas, tool, arguments).await;
        // The second wire finds it cancelled, which is what it wants.
        does("cancelar-job", json!({ "job_id": job })).await;
        host.wait_for(&job, "cancelled").await;
        let again = does("cancelar-job", json!({ "job_id": job })).await;
        assert_eq!((&again["status"], &again["done"]), (&json!("cancelled"), &json!(true)));
        let log = does("logs-job", json!({ "job_id": job, "tail": 5, "level": "debug" })).await;
        let lines = log["lines"].as_array().expect("lines").len();
        assert!((1..=5).contains(&lines) && log["total"].as_u64() >= Some(1), "{log:#}");
        let retried = does("repetir-job", json!({ "job_id": job })).await;
        assert_eq!(retried["deduplicated"], wire == Wire::Modern, "{retried:#}");
        assert_eq!(
            (&retried["type"], &retried["target"]),
            (&json!("create_server"), &json!("web-1"))
        );
        let said = agent.refuses("repetir-job", json!({ "job_id": job, "from": "start" })).await;
        assert!(said.contains("already_retried"), "{said}");
        let offer =
            does("listar-tipos-servidor", json!({ "provider": "sandbox", "limit": 2 })).await;
        assert_eq!(offer["server_types"].as_array().map(Vec::len), Some(2), "{offer:#}");
        assert!(offer["next_cursor"].is_string(), "{offer:#}");
    }
    assert_eq!(host.get("/api/jobs").await.1["jobs"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn what_the_tools_for_jobs_cannot_do_is_told_with_what_to_do() {
    let host = host_with(&[WITH_JOBS]).await;
    let agent = Agent::of(&host);
    make(&agent, "web-1").await;
    let done = host.get("/api/jobs").await.1["jobs"][0]["job_id"].clone();
    for (tool, arguments, part) in [
        ("cancelar-job", json!({ "job_id": done }), "job_finished"),
        ("cancelar-job", json!({ "job_id": "job_20250110_150000_a1b2c3" }), "no_such_job"),
        ("repetir-job", json!({ "job_id": done }), "job_finished"),
        ("repetir-job", json!({ "job_id": done, "resolve": "happened" }), "resolve"),
        ("logs-job", json!({ "job_id": done, "tail": 501 }), "1 to 500"),
        ("logs-job", json!({ "job_id": "../x" }), "job_2025"),
        ("listar-tipos-servidor", json!({ "provider": "hetzner" }), "configurar-provider"),
    ] {
        let said = agent.refuses(tool, arguments).await;
        assert!(said.contains(part) && said.contains("O que fazer: "), "{tool}: {said}");
    }
}

#[tokio::test]
async fn whoever_may_only_look_finds_of_the_tools_for_jobs_only_those_that_look() {
    let (host, _cloud, job) = host_with_job().await;
    let read_only = host_with(&[WITH_JOBS, ("WINDLASS_MCP_READ_ONLY", "1")]).await;
    let reader = Agent::of(&host).with_token(&token(&host, "read").await);
    let shy = Agent::of(&host).with_header("X-MCP-Readonly", "1");
    for (agent, code) in
        [(reader, "insufficient_scope"), (shy, "read_only"), (Agent::of(&read_only), "read_only")]
    {
        let tools = tools(&agent).await;
        let looks = |tool: &Value| tool["annotations"]["readOnlyHint"] == true;
        assert!(tools.len() == 9 && tools.iter().all(looks), "{:?}", names(&tools));
        for tool in ["cancelar-job", "repetir-job"] {
            let said = agent.refuses(tool, json!({ "job_id": job })).await;
            assert!(said.contains(code), "{tool}: {said}");
        }
    }
    let (_, shown) = host.get(&format!("/api/jobs/{job}")).await;
    assert_eq!((&shown["status"], &shown["cancel_requested"]), (&json!("running"), &json!(false)));
}

/// Whether a text calls a tool by its usual name.
fn is_portuguese(text: &str) -> Option<&'static str> {
    let is_outside = |c: char| c != '-' && !c.is_ascii_lowercase();
    let mut words = text.split(is_outside);
    words.find_map(|word| ENGLISH.iter().find(|(usual, _)| *usual == word).map(|(usual, _)| *usual))
}

#[tokio::test]
async fn tools_have_english_names_and_no_others_where_that_is_set() {
    for language in ["pt", "en"] {
        let host = host_with(&[WITH_JOBS, IN_ENGLISH, ("WINDLASS_MCP_LANGUAGE", language)]).await;
        for wire in [Wire::Legacy, Wire::Modern] {
            let agent = Agent::of(&host).on(wire);
            let tools = tools(&agent).await;
            assert_eq!(names(&tools), ENGLISH.map(|(_, english)| english));
            let mut seen = Value::from(tools).to_string();
            for (usual, _) in ENGLISH {
                let params = json!({ "name": usual, "arguments": {} });
                assert_eq!(agent.ask("tools/call", params).await.error().0, -32_602, "{usual}");
            }
            let name = format!("web-{language}-{}", u8::from(wire == Wire::Modern));
            let started = agent.call("create-server", wanted(&name)).await;
            let job = json!({ "job_id": started["structuredContent"]["job_id"] });
            seen += &started.to_string();
            seen += &agent.call("wait-for-job", job).await.to_string();
            for (tool, arguments) in [
                ("server-details", json!({ "name": "none" })),
                ("destroy-server", json!({ "name": name })),
                ("list-installed-apps", json!({ "name": name })),
                ("install-app", json!({ "name": name, "app_name": "n8n" })),
                ("initialize-system", json!({})),
                ("configure-provider", json!({ "name": "sandbox" })),
            ] {
                seen += &agent.call(tool, arguments).await.to_string();
            }
            let prompt = json!({ "name": "provisionar-servidor",
                "arguments": { "name": "web-9", "app_name": "n8n" } });
            seen += &agent.ask("prompts/get", prompt).await.result().to_string();
            seen += &agent.ask("prompts/list", json!({})).await.result().to_string();
            if wire == Wire::Modern {
                seen += &agent.ask("server/discover", json!({})).await.result().to_string();
            }
            assert_eq!(is_portuguese(&seen), None, "{seen}");
            assert!(seen.contains("wait-for-job") && seen.contains("set-up-server"), "{seen}");
        }
        let database =
            rusqlite::Connection::open(host.home().join("windlass.db")).expect("the database");
        let noted: u32 = database
            .query_row(
                "SELECT count(*) FROM audit WHERE action = 'mcp.criar-servidor'",
                [],
                |row| row.get(0),
            )
            .expect("the audit log");
        assert_eq!(noted, 2, "the audit log keeps one name");
    }
}

/// The names of the tools on standard output.
fn on_stdio(home: &Path, settings: &[(&str, &str)], flags: &[&str]) -> Vec<String> {
    let mut agent = Proxy::start(home, settings, flags);
    agent.ask(&hello());
    let list = json!({ "jsonrpc": "2.0", "id": "x", "method": "tools/list", "params": {} });
    let list = agent.ask(&list)["result"]["tools"].as_array().cloned().expect("tools");
    agent.end();
    names(&list).into_iter().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_standard_output_the_tools_are_those_of_the_host_whoever_runs_it() {
    let english = ENGLISH.map(|(_, english)| english.to_owned());
    let host = host_with(&[WITH_JOBS, IN_ENGLISH]).await;
    assert_eq!(on_stdio(&host.home(), &[], &[]), english);
    let looking = on_stdio(&host.home(), &[], &["--stdio", "--read-only"]);
    assert!(looking.len() == 9 && looking.contains(&"job-logs".to_owned()), "{looking:?}");
    // Where none runs, the process is the host, and is told itself.
    let home = tempfile::tempdir().expect("a folder");
    let own = home.path().join("home");
    assert_eq!(on_stdio(&own, &[WITH_JOBS, IN_ENGLISH], &[]), english);
    assert_eq!(on_stdio(&own, &[], &[]), ENGLISH.map(|(usual, _)| usual)[..16]);
}
