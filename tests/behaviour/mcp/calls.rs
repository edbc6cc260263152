//! What tools answer: structure that is as its schema says, in text and in data alike, short, and
//! without anything secret.

use serde_json::{Value, json};
use tests::agent::{Agent, Wire};
use tests::host_process::TestHost;

use super::{host_with, make, token, wanted};

/// The output schemas, by tool.
pub(super) async fn schemas(agent: &Agent) -> Value {
    let list = agent.ask("tools/list", json!({})).await.result();
    let tools = list["tools"].as_array().expect("tools").iter();
    tools
        .map(|tool| (tool["name"].as_str().expect("a name"), tool["outputSchema"].clone()))
        .collect()
}

/// Calls a tool that does it, and holds its result against its schema.
pub(super) async fn check(agent: &Agent, schemas: &Value, tool: &str, arguments: Value) -> Value {
    let result = agent.call(tool, arguments).await;
    assert_eq!(result["isError"], false, "{tool}: {result:#}");
    let structure = &result["structuredContent"];
    let validator = jsonschema::validator_for(&schemas[tool]).expect("the schema is one");
    let wrong: Vec<String> = validator.iter_errors(structure).map(|e| e.to_string()).collect();
    assert!(wrong.is_empty(), "{tool}: {wrong:#?} {structure:#}");
    let text = result["content"][0]["text"].as_str().expect("text comes first");
    assert_eq!(serde_json::from_str::<Value>(text).expect("it is JSON"), *structure);
    assert!(text.len() <= 20_000, "{tool} answers {} bytes", text.len());
    let known = schemas[tool]["properties"].as_object().expect("properties");
    for field in structure.as_object().expect("an object").keys() {
        assert!(
            known.contains_key(field),
            "{tool} gives {field}, of which its schema says nothing"
        );
    }
    structure.clone()
}

#[tokio::test]
async fn every_tool_answers_what_its_schema_says_on_both_wires() {
    for wire in [Wire::Legacy, Wire::Modern] {
        let host = TestHost::start().await;
        let agent = Agent::of(&host).on(wire);
        let schemas = schemas(&agent).await;
        let does = async |tool, arguments| check(&agent, &schemas, tool, arguments).await;
        does("inicializar-sistema", json!({})).await;
        does("configurar-provider", json!({ "name": "sandbox", "default": true })).await;
        let started = does("criar-servidor", wanted("web-1")).await;
        assert_eq!(started["deduplicated"], false);
        let job = json!({ "job_id": started["job_id"] });
        let waited = does("aguardar-job-completo", job.clone()).await;
        assert_eq!((&waited["status"], &waited["done"]), (&json!("completed"), &json!(true)));
        let shown = does("verificar-job", job).await;
        assert!(!shown["log"].as_array().expect("a log").is_empty(), "{shown:#}");
        assert_eq!(does("listar-jobs", json!({})).await["jobs"][0]["type"], "create_server");
        assert_eq!(does("listar-servidores", json!({})).await["servers"][0]["name"], "web-1");
        let server = does("detalhes-servidor", json!({ "name": "web-1" })).await;
        assert_eq!((&server["status"], &server["simulated"]), (&json!("running"), &json!(true)));
        let command = json!({ "name": "web-1", "command": "id -u" });
        let ran = does("executar-comando-ssh", command).await;
        assert_eq!((&ran["stdout"], &ran["server"]), (&json!("0\n"), &json!("web-1")));
        let setup = json!({ "name": "web-1", "ssl_email": "ops@example.com" });
        let set_up = does("configurar-servidor-completo", setup).await;
        does("aguardar-job-completo", json!({ "job_id": set_up["job_id"] })).await;
        let destroyed =
            does("destruir-servidor", json!({ "name": "web-1", "confirm": "web-1" })).await;
        let waited = does("aguardar-job-completo", json!({ "job_id": destroyed["job_id"] })).await;
        assert_eq!(waited["status"], "completed", "{waited:#}");
    }
}

#[tokio::test]
async fn wrong_arguments_are_told_to_the_model_with_what_to_do() {
    let host = TestHost::start().await;
    let agent = Agent::of(&host);
    for (tool, arguments, part) in [
        (
            "criar-servidor",
            json!({ "name": "A.b", "server_type": "cx23", "region": "nbg1" }),
            "`A.b`",
        ),
        (
            "criar-servidor",
            json!({ "name": "a", "server_type": "cx24", "region": "nbg1" }),
            "`cx23`",
        ),
        ("criar-servidor", json!({ "name": "a" }), "server_type"),
        ("listar-jobs", json!({ "colour": "red" }), "colour"),
        ("aguardar-job-completo", json!({ "job_id": "x" }), "job_2025"),
        ("executar-comando-ssh", json!({ "name": "none", "command": "id" }), "listar-servidores"),
        ("configurar-cloudflare", json!({}), "api_token"),
        ("configurar-provider", json!({ "name": "hetzner" }), "token"),
    ] {
        let said = agent.refuses(tool, arguments).await;
        assert!(said.contains(part) && said.contains("O que fazer: "), "{tool}: {said}");
    }
}

#[tokio::test]
async fn long_output_is_cut_and_says_so() {
    let host = TestHost::start().await;
    let agent = Agent::of(&host);
    make(&agent, "web-1").await;
    let command = "i=0; while [ $i -lt 3000 ]; do echo line number $i; i=$((i+1)); done";
    let arguments = json!({ "name": "web-1", "command": command });
    let result = agent.call("executar-comando-ssh", arguments).await;
    let text = result["content"][0]["text"].as_str().expect("text");
    assert!(text.len() <= 20_000, "{} bytes", text.len());
}

#[tokio::test]
async fn pages_of_jobs_come_one_after_the_other() {
    let host = TestHost::start().await;
    let agent = Agent::of(&host);
    for n in 0..5 {
        agent.does("criar-servidor", wanted(&format!("web-{n}"))).await;
    }
    let mut seen = Vec::new();
    let mut arguments = json!({ "limit": 2 });
    loop {
        let page = agent.does("listar-jobs", arguments.clone()).await;
        seen.extend(page["jobs"].as_array().expect("jobs").iter().map(|job| job["job_id"].clone()));
        match page.get("next_cursor") {
            Some(cursor) => arguments["cursor"] = cursor.clone(),
            None => break,
        }
    }
    seen.dedup();
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn every_call_stands_in_the_audit_log_and_nothing_secret_does() {
    let host = host_with(&[("HCLOUD_ENDPOINT", "http://127.0.0.1:9")]).await;
    let agent = Agent::of(&host).with_token(&token(&host, "admin").await);
    let secret = "wl-test-5f3c9a1b7e";
    let mut seen = String::new();
    for (tool, arguments) in [
        ("configurar-provider", json!({ "name": "hetzner", "token": secret })),
        ("configurar-provider", json!({ "name": "hetzner", "token": [secret] })),
        ("configurar-provider", json!({ "name": "sandbox", "default": true })),
        ("criar-servidor", wanted("web-1")),
    ] {
        seen += &agent.call(tool, arguments).await.to_string();
    }
    let jobs = agent.does("listar-jobs", json!({})).await;
    let job = json!({ "job_id": jobs["jobs"][0]["job_id"] });
    seen += &agent.call("aguardar-job-completo", job).await.to_string();
    let stdin = json!({ "name": "web-1", "command": "cat >/dev/null", "stdin": secret });
    seen += &agent.call("executar-comando-ssh", stdin).await.to_string();
    let database =
        rusqlite::Connection::open(host.home().join("windlass.db")).expect("the database");
    let mut rows = database
        .prepare("SELECT caller || ' ' || action || ' ' || target || ' ' || detail FROM audit")
        .expect("the audit log");
    let rows: Vec<String> = rows
        .query_map([], |row| row.get(0))
        .expect("rows")
        .map(|row| row.expect("a row"))
        .collect();
    let calls = rows.iter().filter(|row| row.starts_with("a-admin mcp.")).count();
    assert_eq!(calls, 7, "{rows:#?}");
    assert!(
        rows.iter().any(|row| row.contains("mcp.criar-servidor web-1") && row.contains("allowed"))
    );
    for place in [&seen, &host.log(), &rows.join("\n")] {
        assert!(!place.contains(secret), "{place}");
    }
}
