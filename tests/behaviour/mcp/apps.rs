//! Apps as agents have them: looking, installing with what is needed, removing, and the protection
//! of the servers that they are on.

use serde_json::{Value, json};
use tests::agent::{Agent, Wire};
use tests::apps::{AppsHost, recipe};

use super::calls::{check, schemas};
use super::token;

/// `top` needs `base`; `needless` is over nothing and waits for as long as nobody stops it.
async fn ready() -> (AppsHost, Agent) {
    let recipes = [
        recipe("base", &[], json!({})),
        recipe("top", &["base"], json!({ "category": "towers" })),
        recipe("needless", &[], json!({})),
    ];
    let apps = AppsHost::start(&recipes).await;
    apps.ready_server("web-1").await;
    let agent = Agent::of(&apps.host);
    (apps, agent)
}

/// Waits for what was started.
async fn done(agent: &Agent, started: &Value) -> Value {
    let job = json!({ "job_id": started["job_id"] });
    let waited = agent.does("aguardar-job-completo", job).await;
    assert_eq!(waited["status"], "completed", "{waited:#}");
    waited
}

async fn install(agent: &Agent, app: &str) -> Value {
    let started = agent.does("instalar-app", json!({ "name": "web-1", "app_name": app })).await;
    done(agent, &started).await;
    started
}

/// The names in a list of apps.
fn names(list: &Value) -> Vec<&str> {
    let apps = list["apps"].as_array().expect("apps").iter();
    apps.map(|app| app["app_name"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn apps_are_installed_listed_and_removed_as_the_schemas_say_on_both_wires() {
    for wire in [Wire::Legacy, Wire::Modern] {
        let (apps, agent) = ready().await;
        let agent = agent.on(wire);
        let schemas = schemas(&agent).await;
        let does = async |tool, arguments| check(&agent, &schemas, tool, arguments).await;
        let found = does("listar-apps-disponiveis", json!({ "category": "towers" })).await;
        assert_eq!(
            (names(&found), &found["apps"][0]["dependencies"]),
            (vec!["top"], &json!(["base"]))
        );
        let wanted = json!({ "name": "web-1", "app_name": "top", "config": { "how": "runs" } });
        let started = does("instalar-app", wanted).await;
        assert_eq!(
            (&started["type"], &started["target"]),
            (&json!("deploy_app:top"), &json!("web-1/top"))
        );
        let needed = started["depends_on"][0].as_str().expect("base comes before it").to_owned();
        done(&agent, &started).await;
        let (_, base) = apps.host.get(&format!("/api/jobs/{needed}")).await;
        assert_eq!(
            (&base["type"], &base["status"]),
            (&json!("deploy_app:base"), &json!("completed"))
        );
        let installed = does("listar-apps-instaladas", json!({ "name": "web-1" })).await;
        assert_eq!(
            (names(&installed), &installed["provider"]),
            (vec!["base", "top"], &json!("sandbox"))
        );
        assert_eq!(installed["apps"][1]["status"], "running", "{installed:#}");
        let gone =
            json!({ "name": "web-1", "app_name": "top", "confirm": "top", "delete_data": true });
        let removed = does("desinstalar-app", gone).await;
        let job = apps.host.wait_for(removed["job_id"].as_str().expect("a job"), "completed").await;
        assert_eq!(job["params"]["delete_data"], true);
        let installed = does("listar-apps-instaladas", json!({ "name": "web-1" })).await;
        assert_eq!(names(&installed), ["base"]);
    }
}

#[tokio::test]
async fn the_catalogue_comes_in_pages_and_one_app_with_the_schema_of_its_configuration() {
    let (_apps, agent) = ready().await;
    let schemas = schemas(&agent).await;
    let (mut seen, mut arguments) = (Vec::new(), json!({ "limit": 100 }));
    loop {
        let page = check(&agent, &schemas, "listar-apps-disponiveis", arguments.clone()).await;
        seen.extend(names(&page).into_iter().map(str::to_owned));
        match page.get("next_cursor") {
            Some(cursor) => arguments["cursor"] = cursor.clone(),
            None => break,
        }
    }
    assert!(seen.len() > 60 && seen.is_sorted(), "{seen:?}");
    for app in ["top", "n8n"] {
        assert!(seen.iter().any(|name| name == app), "{app} is not in {seen:?}");
        let one =
            check(&agent, &schemas, "listar-apps-disponiveis", json!({ "app_name": app })).await;
        assert_eq!((names(&one).len(), &one["apps"][0]["config"]["type"]), (1, &json!("object")));
    }
    let said = agent.refuses("listar-apps-disponiveis", json!({ "app_name": "none" })).await;
    assert!(said.contains("no_such_app"), "{said}");
    let read = agent.ask("resources/read", json!({ "uri": "catalog://apps" })).await.result();
    let text = read["contents"][0]["text"].as_str().expect("text");
    assert!(text.len() <= 20_000 && text.contains(r#""app_name":"base""#), "{text}");
}

#[tokio::test]
async fn the_same_asked_for_twice_is_one_job_and_other_wishes_are_told_so() {
    let (apps, agent) = ready().await;
    let wanted = json!({ "name": "web-1", "app_name": "needless", "config": { "how": "waits" } });
    let (first, second) = tokio::join!(
        agent.does("instalar-app", wanted.clone()),
        agent.does("instalar-app", wanted)
    );
    assert_eq!(first["job_id"], second["job_id"]);
    assert_ne!(first["deduplicated"], second["deduplicated"]);
    let other = json!({ "name": "web-1", "app_name": "needless", "config": { "how": "runs" } });
    let said = agent.refuses("instalar-app", other).await;
    assert!(said.contains("app_busy") && said.contains("verificar-job"), "{said}");
    let job = first["job_id"].as_str().expect("a job").to_owned();
    apps.host.delete(&format!("/api/jobs/{job}")).await;
    apps.host.wait_for(&job, "cancelled").await;
    let config = json!({ "on_removal": "waits" });
    done(
        &agent,
        &agent
            .does("instalar-app", json!({ "name": "web-1", "app_name": "base", "config": config }))
            .await,
    )
    .await;
    let gone = json!({ "name": "web-1", "app_name": "base", "confirm": "base" });
    let (one, two) = tokio::join!(
        agent.does("desinstalar-app", gone.clone()),
        agent.does("desinstalar-app", gone)
    );
    assert_eq!(one["job_id"], two["job_id"]);
    assert_ne!(one["deduplicated"], two["deduplicated"]);
}

#[tokio::test]
async fn an_app_is_removed_only_with_the_right_words_or_through_a_form() {
    let (apps, agent) = ready().await;
    install(&agent, "top").await;
    for arguments in [
        json!({ "name": "web-1", "app_name": "top" }),
        json!({ "name": "web-1", "app_name": "top", "confirm": "web-1" }),
    ] {
        let said = agent.refuses("desinstalar-app", arguments).await;
        assert!(said.contains("not_confirmed") && said.contains("`top`"), "{said}");
    }
    let needed = json!({ "name": "web-1", "app_name": "base", "confirm": "base" });
    let said = agent.refuses("desinstalar-app", needed).await;
    assert!(said.contains("app_required_by") && said.contains("desinstalar-app"), "{said}");
    let forms = agent.clone().with_forms();
    let arguments = json!({ "name": "web-1", "app_name": "top", "confirm": "top" });
    let asked = forms.call("desinstalar-app", arguments.clone()).await;
    assert_eq!(asked["resultType"], "input_required", "{asked:#}");
    assert_eq!(names_on(&apps).await, ["base", "top"]);
    let typed = json!({ "confirm": { "action": "accept", "content": { "name": "top" } } });
    let params = json!({ "name": "desinstalar-app", "arguments": arguments,
        "requestState": asked["requestState"], "inputResponses": typed });
    let answer = forms.ask("tools/call", params).await.result();
    done(&agent, &answer["structuredContent"]).await;
    assert_eq!(names_on(&apps).await, ["base"]);
}

/// The apps of the server, as REST says.
async fn names_on(apps: &AppsHost) -> Vec<String> {
    let (_, answer) = apps.host.get("/api/servers/web-1/apps").await;
    names(&answer).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn secrets_in_a_configuration_are_in_no_answer_and_no_log() {
    let secret = json!({ "params": { "properties": {
        "password": { "type": "string", "writeOnly": true },
    }}});
    let apps = AppsHost::start(&[recipe("kept", &[], secret)]).await;
    apps.ready_server("web-1").await;
    let agent = Agent::of(&apps.host);
    let password = "wl-test-a1b2c3d4e5";
    let wanted = |config: Value| json!({ "name": "web-1", "app_name": "kept", "config": config });
    let mut seen = agent.call("instalar-app", wanted(json!(password))).await.to_string();
    let started = agent.does("instalar-app", wanted(json!({ "password": password }))).await;
    seen += &started.to_string();
    seen += &done(&agent, &started).await.to_string();
    for (tool, arguments) in [
        ("listar-apps-instaladas", json!({ "name": "web-1" })),
        ("verificar-job", json!({ "job_id": started["job_id"], "tail": 50 })),
        ("detalhes-servidor", json!({ "name": "web-1" })),
    ] {
        seen += &agent.call(tool, arguments).await.to_string();
    }
    assert!(!seen.contains(password), "{seen}");
    assert!(!apps.host.log().contains(password));
}

#[tokio::test]
async fn agents_cannot_destroy_a_server_with_apps_until_a_person_says_so() {
    let (apps, agent) = ready().await;
    let destroy = json!({ "name": "web-1", "confirm": "web-1" });
    install(&agent, "base").await;
    assert_eq!(
        agent.does("detalhes-servidor", json!({ "name": "web-1" })).await["protected"],
        true
    );
    for agent in [agent.clone(), agent.clone().with_forms()] {
        let said = agent.refuses("destruir-servidor", destroy.clone()).await;
        assert!(said.contains("deletion_protected") && said.contains("`base`"), "{said}");
        assert!(!said.contains("force"), "agents are told of no way around: {said}");
    }
    let off = json!({ "deletion_protection": "off" });
    // The agent's own token lifts nothing, by whatever door.
    let own = token(&apps.host, "operate").await;
    let asked = apps.host.bare_request(reqwest::Method::PATCH, "/api/servers/web-1");
    let (status, refused) = apps.host.answer(asked.bearer_auth(own).json(&off)).await;
    assert_eq!((status, &refused["code"]), (403, &json!("insufficient_scope")), "{refused}");
    let (status, server) = apps.host.answer(patch(&apps).json(&off)).await;
    assert_eq!((status, &server["protected"]), (200, &json!(false)), "{server}");
    // A person has to confirm it still.
    agent.refuses("destruir-servidor", json!({ "name": "web-1" })).await;
    done(&agent, &agent.does("destruir-servidor", destroy).await).await;
    assert_eq!(apps.host.get("/api/servers/web-1").await.0, 404);
}

fn patch(apps: &AppsHost) -> reqwest::RequestBuilder {
    apps.host.request(reqwest::Method::PATCH, "/api/servers/web-1")
}

#[tokio::test]
async fn what_a_person_said_shall_stay_goes_by_nobodys_wish() {
    let (apps, agent) = ready().await;
    let on = json!({ "deletion_protection": "on" });
    assert_eq!(apps.host.answer(patch(&apps).json(&on)).await.0, 200);
    let mut apps = apps;
    apps.host.crash();
    apps.host.restart().await;
    let said = Agent::of(&apps.host)
        .refuses("destruir-servidor", json!({ "name": "web-1", "confirm": "web-1" }))
        .await;
    assert!(said.contains("deletion_protected"), "{said}");
    drop(agent);
    for path in ["/api/servers/web-1", "/api/servers/web-1?force=true"] {
        let (status, refused) = apps.host.delete(path).await;
        assert_eq!((status, &refused["code"]), (409, &json!("deletion_protected")), "{refused}");
    }
    let nonsense = json!({ "deletion_protection": "maybe" });
    assert_eq!(apps.host.answer(patch(&apps).json(&nonsense)).await.0, 422);
    let automatic = json!({ "deletion_protection": "automatic" });
    assert_eq!(apps.host.answer(patch(&apps).json(&automatic)).await.0, 200);
    assert_eq!(apps.host.delete("/api/servers/web-1").await.0, 202);
}
