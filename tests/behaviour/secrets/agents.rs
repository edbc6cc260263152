//! A whole session of an agent, recorded: no value that the host keeps is in anything that came
//! back, in what the host logged, or on the stage of a plan.

use serde_json::{Value, json};
use tests::agent::{Agent, Wire};
use tests::fake_hetzner::{self, FakeHetzner};
use tests::host_process::{Options, TestHost};

use super::{check, needles, values_with_token};

/// An agent, and all that it was ever told.
struct Session {
    agent: Agent,
    seen: String,
}

impl Session {
    async fn ask(&mut self, method: &str, params: Value) -> Value {
        let reply = self.agent.ask(method, params).await;
        self.seen += &reply.body;
        for (_, message) in &reply.messages {
            self.seen += &message.to_string();
        }
        reply.result()
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let mut params = json!({ "name": tool, "arguments": arguments });
        params["_meta"]["progressToken"] = json!("p");
        self.ask("tools/call", params).await["structuredContent"].clone()
    }

    /// Does it, and waits for its job.
    async fn finish(&mut self, tool: &str, arguments: Value) -> String {
        let started = self.call(tool, arguments).await;
        let job = started["job_id"].as_str().expect("a job was started").to_owned();
        while self.call("aguardar-job-completo", json!({ "job_id": job })).await["done"] != true {}
        job
    }
}

/// All that the audit log says.
fn audited(host: &TestHost) -> String {
    let database =
        rusqlite::Connection::open(host.home().join("windlass.db")).expect("the database");
    let mut rows = database
        .prepare("SELECT caller || ' ' || action || ' ' || target || ' ' || detail FROM audit")
        .expect("the audit log");
    let rows = rows.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    let rows: Vec<String> = rows.map(|row| row.expect("a row")).collect();
    assert!(rows.iter().any(|row| row.contains("mcp.configurar-provider")), "{rows:#?}");
    rows.join("\n")
}

#[tokio::test]
async fn a_session_of_an_agent_holds_no_value() {
    let cloud = FakeHetzner::start(fake_hetzner::Options::default()).await;
    let environment = vec![
        ("HCLOUD_ENDPOINT".to_owned(), cloud.url()),
        ("WINDLASS_LOG".to_owned(), "warn,windlass=trace".to_owned()),
        ("WINDLASS_MCP_TOOLSETS".to_owned(), "core,jobs".to_owned()),
    ];
    let mut host = TestHost::start_with(Options { environment }).await;
    let mut seen = String::new();
    for (wire, name) in [(Wire::Modern, "web-1"), (Wire::Legacy, "web-2")] {
        let agent = Agent::of(&host).on(wire);
        let mut session = Session { agent, seen: String::new() };
        let token = json!({ "name": "hetzner", "token": cloud.token(), "default": false });
        session.call("configurar-provider", token).await;
        let wrong = json!({ "name": "hetzner", "token": format!("{}x", cloud.token()) });
        session.call("configurar-provider", wrong).await;
        let wanted = json!({ "name": name, "server_type": "cx23", "region": "nbg1",
            "provider": "sandbox" });
        session.finish("criar-servidor", wanted).await;
        let setup = json!({ "name": name, "ssl_email": "ops@example.com",
            "zone_name": "example.com", "subdomain": name });
        session.finish("configurar-servidor-completo", setup).await;
        let app = json!({ "name": name, "app_name": "n8n" });
        let mut plan = app.clone();
        plan["plan"] = json!(true);
        assert!(session.call("instalar-app", plan).await["plan_hash"].is_string());
        let job = session.finish("instalar-app", app).await;
        for (tool, arguments) in [
            ("verificar-job", json!({ "job_id": job, "tail": 50 })),
            ("listar-jobs", json!({})),
            ("listar-servidores", json!({})),
            ("detalhes-servidor", json!({ "name": name })),
            ("listar-apps-instaladas", json!({ "name": name })),
            ("executar-comando-ssh", json!({ "name": name, "command": "ls /root" })),
            ("destruir-servidor", json!({ "name": name })),
            ("logs-job", json!({ "job_id": job, "tail": 500, "level": "debug" })),
            ("cancelar-job", json!({ "job_id": job })),
            ("repetir-job", json!({ "job_id": job })),
            ("listar-tipos-servidor", json!({ "provider": "hetzner" })),
        ] {
            session.call(tool, arguments).await;
        }
        for uri in [format!("job://{job}"), format!("job://{job}/log"), format!("server://{name}")]
        {
            session.ask("resources/read", json!({ "uri": uri })).await;
        }
        seen += &session.seen;
    }
    assert!(seen.contains("notifications/progress") && seen.contains("encryption-key"));
    let needles = needles(&values_with_token(&host, cloud.token()).await);
    assert!(needles.len() > 20, "{}", needles.len());
    check("what the agent was told", seen.as_bytes(), &needles);
    check("the audit log", audited(&host).as_bytes(), &needles);
    host.terminate().await;
    check("the log", host.log().as_bytes(), &needles);
    let stages = host.home().join("rehearsals");
    assert!(std::fs::read_dir(&stages).expect("plans were made").next().is_none());
}
