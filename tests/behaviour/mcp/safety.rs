//! What agents may not do, and what they do only when somebody wants it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::agent::{Agent, Wire};
use tests::host_process::TestHost;

use super::{host_with, make, token, wanted};

/// The names of the tools that an agent sees.
async fn names(agent: &Agent) -> BTreeSet<String> {
    let list = agent.ask("tools/list", json!({})).await.result();
    let tools = list["tools"].as_array().expect("tools").iter();
    tools.map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

/// How many jobs there are that delete something.
async fn deletions(host: &TestHost) -> usize {
    let (_, jobs) = host.get("/api/jobs?type=delete_server").await;
    jobs["jobs"].as_array().expect("jobs").len()
}

/// Calls for a server's end with what came back of a form.
async fn answer(agent: &Agent, arguments: &Value, state: &Value, form: Value) -> Value {
    let params = json!({ "name": "destruir-servidor", "arguments": arguments,
        "requestState": state, "inputResponses": { "confirm": form } });
    agent.ask("tools/call", params).await.result()
}

fn typed(name: &str) -> Value {
    json!({ "action": "accept", "content": { "name": name } })
}

#[tokio::test]
async fn a_token_shows_and_opens_only_the_tools_of_its_scope() {
    let host = TestHost::start().await;
    let reader = Agent::of(&host).with_token(&token(&host, "read").await);
    let looking = [
        "verificar-job",
        "listar-jobs",
        "aguardar-job-completo",
        "listar-servidores",
        "detalhes-servidor",
        "listar-apps-disponiveis",
        "listar-apps-instaladas",
    ];
    assert_eq!(names(&reader).await, looking.map(str::to_owned).into());
    let said = reader.refuses("criar-servidor", wanted("web-1")).await;
    assert!(said.contains("insufficient_scope"), "{said}");
    assert_eq!(host.get("/api/jobs").await.1["jobs"], json!([]));
    let operator = Agent::of(&host).with_token(&token(&host, "operate").await);
    let seen = names(&operator).await;
    assert!(seen.contains("destruir-servidor") && !seen.contains("configurar-provider"));
    operator.refuses("configurar-provider", json!({ "name": "sandbox" })).await;
}

#[tokio::test]
async fn read_only_beats_every_token() {
    let host = host_with(&[("WINDLASS_MCP_READ_ONLY", "1")]).await;
    let admin = Agent::of(&host);
    assert_eq!(names(&admin).await.len(), 7);
    let said = admin.refuses("criar-servidor", wanted("web-1")).await;
    assert!(said.contains("read_only"), "{said}");
    let host = TestHost::start().await;
    let shy = Agent::of(&host).with_header("X-MCP-Readonly", "1");
    assert_eq!(names(&shy).await.len(), 7);
    shy.refuses("destruir-servidor", json!({ "name": "a", "confirm": "a" })).await;
}

#[tokio::test]
async fn nothing_is_destroyed_without_the_right_words() {
    let host = TestHost::start().await;
    for wire in [Wire::Legacy, Wire::Modern] {
        let agent = Agent::of(&host).on(wire);
        make(&Agent::of(&host), "web-1").await;
        for arguments in [json!({ "name": "web-1" }), json!({ "name": "web-1", "confirm": "yes" })]
        {
            let said = agent.refuses("destruir-servidor", arguments).await;
            assert!(said.contains("`web-1` (cx23, sandbox"), "{said}");
        }
        assert_eq!(host.get("/api/servers/web-1").await.1["status"], "running");
    }
    assert_eq!(deletions(&host).await, 0);
    let arguments = json!({ "name": "web-1", "confirm": "web-1" });
    Agent::of(&host).does("destruir-servidor", arguments).await;
    assert_eq!(deletions(&host).await, 1);
}

#[tokio::test]
async fn a_client_with_forms_has_to_show_one_whatever_its_model_confirms() {
    let host = TestHost::start().await;
    let agent = Agent::of(&host).with_forms();
    make(&agent, "web-1").await;
    let arguments = json!({ "name": "web-1", "confirm": "web-1" });
    let asked = agent.call("destruir-servidor", arguments.clone()).await;
    assert_eq!(asked["resultType"], "input_required", "{asked:#}");
    let form = &asked["inputRequests"]["confirm"]["params"];
    assert_eq!(form["requestedSchema"]["required"], json!(["name"]), "{form:#}");
    assert!(form["message"].as_str().expect("words").contains("web-1"));
    assert_eq!(deletions(&host).await, 0);
    let state = &asked["requestState"];
    let done = answer(&agent, &arguments, state, typed("web-1")).await;
    assert_eq!(done["isError"], false, "{done:#}");
    let again = answer(&agent, &arguments, state, typed("web-1")).await;
    assert_eq!(again["isError"], true, "a form counts once: {again:#}");
    assert_eq!(deletions(&host).await, 1);
}

#[tokio::test]
async fn forms_that_are_declined_forged_or_of_other_calls_count_for_nothing() {
    let host = TestHost::start().await;
    let agent = Agent::of(&host).with_forms();
    make(&agent, "web-1").await;
    make(&agent, "web-2").await;
    let (one, two) = (json!({ "name": "web-1" }), json!({ "name": "web-2" }));
    let other = agent.clone().with_token(&token(&host, "operate").await);
    let ask = async || agent.call("destruir-servidor", one.clone()).await["requestState"].clone();
    let mut forged = ask().await.as_str().expect("text").to_owned();
    let last = forged.pop().expect("it is not empty");
    forged.push(if last == 'A' { 'B' } else { 'A' });
    for (agent, arguments, state, form) in [
        (&agent, &one, ask().await, typed("web-2")),
        (&agent, &one, ask().await, json!({ "action": "decline" })),
        (&agent, &one, ask().await, json!({ "action": "cancel" })),
        (&agent, &one, ask().await, json!({ "action": "accept" })),
        (&agent, &one, json!(forged), typed("web-1")),
        (&agent, &two, ask().await, typed("web-2")),
        (&other, &one, ask().await, typed("web-1")),
    ] {
        let refused = answer(agent, arguments, &state, form).await;
        assert_eq!(refused["isError"], true, "{refused:#}");
    }
    assert_eq!(deletions(&host).await, 0);
}

#[tokio::test]
async fn a_form_of_an_earlier_run_of_the_host_counts_for_nothing() {
    let mut host = TestHost::start().await;
    let agent = Agent::of(&host).with_forms();
    make(&agent, "web-1").await;
    let arguments = json!({ "name": "web-1" });
    let asked = agent.call("destruir-servidor", arguments.clone()).await;
    host.crash();
    host.restart().await;
    let agent = Agent::of(&host).with_forms();
    let refused = answer(&agent, &arguments, &asked["requestState"], typed("web-1")).await;
    assert_eq!(refused["isError"], true, "{refused:#}");
    assert_eq!(deletions(&host).await, 0);
}

#[tokio::test]
async fn a_host_that_demands_a_person_takes_no_words_for_one() {
    let host = host_with(&[("WINDLASS_MCP_ASK_A_PERSON", "1")]).await;
    let agent = Agent::of(&host);
    make(&agent, "web-1").await;
    let arguments = json!({ "name": "web-1", "confirm": "web-1" });
    let said = agent.refuses("destruir-servidor", arguments).await;
    assert!(said.contains("windlass server delete web-1"), "{said}");
    assert_eq!(deletions(&host).await, 0);
}

#[tokio::test]
async fn the_same_server_asked_for_twice_at_once_is_one_job() {
    let host = TestHost::start().await;
    let (one, two) =
        (Agent::of(&host), Agent::of(&host).with_token(&token(&host, "operate").await));
    let (first, second) = tokio::join!(
        one.does("criar-servidor", wanted("web-1")),
        two.does("criar-servidor", wanted("web-1"))
    );
    assert_eq!(first["job_id"], second["job_id"]);
    assert_ne!(first["deduplicated"], second["deduplicated"]);
    let mut other = wanted("web-1");
    other["region"] = json!("fsn1");
    let said = one.refuses("criar-servidor", other).await;
    assert!(said.contains("job_differs") || said.contains("server_exists"), "{said}");
    let (_, jobs) = host.get("/api/jobs").await;
    assert_eq!(jobs["jobs"].as_array().expect("jobs").len(), 1);
}
