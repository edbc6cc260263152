//! Who comes in, and what is refused at the door.

use reqwest::Method;
use reqwest::header::{HOST, ORIGIN};
use serde_json::json;
use tests::agent::{Agent, Reply};
use tests::host_process::TestHost;

/// What a request is answered that is sent so.
async fn reply(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.expect("the host answers");
    Reply::read(response, std::time::Instant::now()).await
}

#[tokio::test]
async fn pages_of_other_sites_and_foreign_names_are_refused() {
    let host = TestHost::start().await;
    let agent = Agent::of(&host);
    let message = agent.message("tools/list", json!({}));
    let evil = agent.request(&message).header(ORIGIN, "https://evil.example");
    assert_eq!(reply(evil).await.status, 403);
    let evil = agent.request(&message).header(HOST, "evil.example");
    assert_eq!(reply(evil).await.status, 403);
    let own = agent.request(&message).header(ORIGIN, host.url());
    assert_eq!(reply(own).await.status, 200);
}

#[tokio::test]
async fn nobody_comes_in_without_a_token() {
    let host = TestHost::start().await;
    let agent = Agent::of(&host).with_token("wrong");
    let response = agent.send(&agent.message("tools/list", json!({}))).await;
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn only_posts_are_taken() {
    let host = TestHost::start().await;
    for method in [Method::GET, Method::DELETE] {
        let request = host.request(method, "/mcp").header("Accept", "text/event-stream");
        assert_eq!(request.send().await.expect("the host answers").status(), 405);
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_said_by_its_code() {
    let host = TestHost::start().await;
    let agent = Agent::of(&host);
    let check = async |agent: &Agent, message, status, code| {
        let reply = reply(agent.request(&message)).await;
        assert_eq!((reply.status, reply.error().0), (status, code), "{reply:?}");
        reply
    };
    let unknown = agent.message("tasks/result", json!({}));
    check(&agent.clone().with_tasks(), unknown, 404, -32_601).await;
    let no_tool = agent.message("tools/call", json!({ "name": "none", "arguments": {} }));
    check(&agent, no_tool, 200, -32_602).await;
    let mut old = agent.message("tools/list", json!({}));
    old["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("1999-01-01");
    let request = agent.request(&old).header("MCP-Protocol-Version", "1999-01-01");
    let refused = reply(request).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    let call = agent.message("tools/call", json!({ "name": "listar-jobs", "arguments": {} }));
    let request = agent.request(&call).header("Mcp-Name", "destruir-servidor");
    let refused = reply(request).await;
    assert_eq!((refused.status, refused.error().0), (400, -32_020), "{refused:?}");
}

#[tokio::test]
async fn a_version_that_is_unknown_is_answered_with_those_that_are() {
    let host = TestHost::start().await;
    let agent = Agent::of(&host);
    let mut message = agent.message("tools/list", json!({}));
    message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2099-01-01");
    let mut request = agent.request(&message).build().expect("a request");
    request
        .headers_mut()
        .insert("MCP-Protocol-Version", reqwest::header::HeaderValue::from_static("2099-01-01"));
    let response = reqwest::Client::new().execute(request).await.expect("the host answers");
    let reply = Reply::read(response, std::time::Instant::now()).await;
    assert_eq!((reply.status, reply.error().0), (400, -32_022), "{reply:?}");
    let supported = reply.answer()["error"]["data"]["supported"].to_string();
    assert!(supported.contains("2025-11-25") && supported.contains("2026-07-28"), "{supported}");
}

#[tokio::test]
async fn a_message_that_is_too_long_is_refused() {
    let host = TestHost::start().await;
    let agent = Agent::of(&host);
    let arguments = json!({ "name": "x".repeat(5 * 1024 * 1024) });
    let message =
        agent.message("tools/call", json!({ "name": "detalhes-servidor", "arguments": arguments }));
    assert_eq!(reply(agent.request(&message)).await.status, 413);
}

#[tokio::test]
async fn the_host_says_what_it_is_to_both_kinds_of_clients() {
    let host = TestHost::start().await;
    let found = Agent::of(&host).ask("server/discover", json!({})).await.result();
    assert!(found["supportedVersions"].to_string().contains("2026-07-28"), "{found:#}");
    assert!(found["instructions"].as_str().expect("instructions").chars().count() <= 2_048);
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
                        "clientInfo": { "name": "old", "version": "1" } });
    let legacy = Agent::of(&host).on(tests::agent::Wire::Legacy);
    let known = legacy.ask("initialize", hello).await.result();
    assert_eq!(known["protocolVersion"], "2025-11-25", "{known:#}");
    assert_eq!(known["serverInfo"]["name"], "windlass");
}
