//! The list of tools.

use serde_json::{Value, json};
use tests::agent::{Agent, Wire};
use tests::host_process::TestHost;

use super::host_with;

/// Name, reads only, destroys, may be repeated, reaches out.
const TOOLS: [(&str, bool, bool, bool, bool); 16] = [
    ("inicializar-sistema", false, false, true, false),
    ("configurar-provider", false, true, true, true),
    ("configurar-cloudflare", false, true, true, true),
    ("verificar-job", true, false, true, false),
    ("listar-jobs", true, false, true, false),
    ("aguardar-job-completo", true, false, true, false),
    ("criar-servidor", false, false, true, true),
    ("listar-servidores", true, false, true, false),
    ("detalhes-servidor", true, false, true, false),
    ("configurar-servidor-completo", false, false, true, true),
    ("executar-comando-ssh", false, true, false, true),
    ("destruir-servidor", false, true, true, true),
    ("listar-apps-disponiveis", true, false, true, false),
    ("instalar-app", false, false, true, true),
    ("listar-apps-instaladas", true, false, true, false),
    ("desinstalar-app", false, true, true, true),
];

#[tokio::test]
async fn the_tools_are_those_of_the_plan_with_all_their_hints_in_order() {
    let host = TestHost::start().await;
    for wire in [Wire::Legacy, Wire::Modern] {
        let list = Agent::of(&host).on(wire).ask("tools/list", json!({})).await.result();
        let hints = |tool: &Value| {
            let hint = |name: &str| tool["annotations"][name].as_bool().expect("each hint is said");
            let (reads, destroys) = (hint("readOnlyHint"), hint("destructiveHint"));
            let name = tool["name"].as_str().expect("a tool has a name").to_owned();
            (name, reads, destroys, hint("idempotentHint"), hint("openWorldHint"))
        };
        let found: Vec<_> = list["tools"].as_array().expect("tools").iter().map(hints).collect();
        let wanted: Vec<_> =
            TOOLS.iter().map(|(name, a, b, c, d)| ((*name).to_owned(), *a, *b, *c, *d)).collect();
        assert_eq!(found, wanted);
    }
}

#[tokio::test]
async fn the_list_is_the_same_twice_and_within_its_budget() {
    let host = TestHost::start().await;
    let agent = Agent::of(&host);
    let first = agent.ask("tools/list", json!({})).await;
    assert_eq!(first.body, agent.ask("tools/list", json!({})).await.body);
    let mut list = first.result();
    let whole = list["tools"].to_string().len();
    println!("tools/list: {whole} bytes, about {} tokens", whole / 4);
    assert!(whole <= 16_000, "{whole} bytes");
    let tools = list["tools"].as_array_mut().expect("tools");
    for tool in &mut *tools {
        assert!(tool["outputSchema"].is_object() && tool["title"].is_string(), "{tool}");
        let about = tool["description"].as_str().expect("it says what it is for").chars().count();
        assert!(about <= 300, "{tool}");
        tool.as_object_mut().expect("an object").remove("outputSchema");
    }
    // Four bytes a token, as is usual for JSON.
    let tokens = tools.iter().map(|tool| tool.to_string().len() / 4).sum::<usize>() / tools.len();
    assert!(tokens <= 240, "{tokens} tokens a tool");
}

#[tokio::test]
async fn the_texts_are_english_where_that_is_set() {
    let host = host_with(&[("WINDLASS_MCP_LANGUAGE", "en")]).await;
    let agent = Agent::of(&host);
    let list = agent.ask("tools/list", json!({})).await.result();
    assert_eq!(list["tools"][6]["title"], "Create a server", "{list:#}");
    assert_eq!(list["tools"][6]["name"], "criar-servidor");
    let said = agent.refuses("detalhes-servidor", json!({ "name": "none" })).await;
    assert!(said.starts_with("There is no server `none`.\nWhat to do: "), "{said}");
}
