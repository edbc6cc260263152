//! Apps at the door: the catalogue, installing with what is needed, what is installed, removing.

mod configuration;
mod crash;
mod grants;

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tests::apps::{AppsHost, component, recipe};
use tests::workshop::{Workshop, result};
use windlass::model::app::AppRecord;
use windlass::plugins::plugin::Plugin;
use windlass::storage::ServerChange;

/// `top` needs `middle` and `base`, and `middle` needs `base`.
fn tower() -> Vec<Value> {
    vec![
        recipe("base", &[], json!({})),
        recipe("middle", &["base"], json!({})),
        recipe("top", &["middle", "base"], json!({ "category": "towers" })),
    ]
}

/// A host with these apps and a server that is ready for them.
async fn ready(recipes: &[Value]) -> AppsHost {
    let apps = AppsHost::start(recipes).await;
    apps.ready_server("web-1").await;
    apps
}

/// The jobs of the server about apps, oldest first, as `operation: status`.
async fn jobs(apps: &AppsHost) -> Vec<String> {
    let (_, answer) = apps.host.get("/api/jobs?server=web-1").await;
    let jobs = answer["jobs"].as_array().unwrap().iter().rev();
    let shown = jobs.map(|job| {
        format!("{}: {}", job["type"].as_str().unwrap(), job["status"].as_str().unwrap())
    });
    shown.filter(|job| job.contains("_app:")).collect()
}

#[tokio::test]
async fn the_catalogue_is_filtered_by_category_and_searched_by_words() {
    let apps = AppsHost::start(&tower()).await;
    let names = |answer: &Value| -> Vec<String> {
        let found = answer["apps"].as_array().unwrap().iter();
        found.map(|app| app["name"].as_str().unwrap().to_owned()).collect()
    };
    let (status, answer) = apps.host.get("/api/apps?category=testing").await;
    assert_eq!((status, names(&answer)), (200, vec!["base".to_owned(), "middle".to_owned()]));
    let (_, answer) = apps.host.get("/api/apps?q=APP%20top%20made").await;
    assert_eq!(names(&answer), ["top"]);
    let top = &answer["apps"][0];
    assert_eq!(top["dependencies"], json!(["middle", "base"]));
    assert_eq!(top["params"]["properties"]["how"]["default"], "runs");
    assert_eq!(top["plugin"]["name"], "top");
    let (_, answer) = apps.host.get("/api/apps?q=nothing%20like%20it").await;
    assert!(names(&answer).is_empty());
    assert_eq!(apps.host.get("/api/apps?colour=red").await.0, 422);
}

#[tokio::test]
async fn what_an_app_needs_is_installed_before_it() {
    let apps = ready(&tower()).await;
    let (status, answer) = apps.ask("top", json!({})).await;
    assert_eq!((status, answer["depends_on"].as_array().unwrap().len()), (202, 2), "{answer}");
    let job = apps.host.wait_for(answer["job_id"].as_str().unwrap(), "completed").await;
    assert_eq!(
        job["params"],
        json!({
            "server": "web-1", "app": "top", "config": { "how": "runs" },
        })
    );
    let expected =
        ["deploy_app:base: completed", "deploy_app:middle: completed", "deploy_app:top: completed"];
    assert_eq!(jobs(&apps).await, expected);
    let statuses =
        ["base: running (running)", "middle: running (running)", "top: running (running)"];
    assert_eq!(apps.statuses().await, statuses);
    let (_, server) = apps.host.get("/api/servers/web-1").await;
    assert_eq!(server["apps"], json!(["base", "middle", "top"]));
    let top = apps.app("top").await;
    assert_eq!((&top["notes"], &top["job_id"]), (&json!(["it runs"]), &answer["job_id"]));
    assert!(top["deployed_at"].is_string() && top["checked_at"].is_string(), "{top}");
}

#[tokio::test]
async fn an_app_that_fails_names_the_chain_and_what_needs_it_was_never_there() {
    let failing = json!({ "params": { "properties": { "how": { "default": "fails" } } } });
    let mut recipes = tower();
    recipes[0] = recipe("base", &[], failing);
    let apps = ready(&recipes).await;
    let job = apps.install("top", json!({})).await;
    let top = apps.host.wait_for(&job, "failed").await;
    assert_eq!(top["failure"]["code"], "dependency_failed", "{top}");
    let needed = top["depends_on"][0].as_str().unwrap();
    assert!(top["error"].as_str().unwrap().contains(needed), "{top}");
    let (_, middle) = apps.host.get(&format!("/api/jobs/{needed}")).await;
    assert_eq!(
        (&middle["type"], &middle["status"]),
        (&json!("deploy_app:middle"), &json!("failed"))
    );
    let base = middle["depends_on"][0].as_str().unwrap();
    assert!(middle["error"].as_str().unwrap().contains(base), "{middle}");
    assert_eq!(apps.statuses().await, ["base: absent (error)"]);
    // Once what failed is right, all of it is.
    apps.installed("base", json!({ "how": "runs" })).await;
    apps.installed("top", json!({})).await;
    assert_eq!(apps.statuses().await.len(), 3);
}

#[tokio::test]
async fn apps_that_need_each_other_are_named_in_their_circle() {
    let circle = [
        recipe("start", &["one"], json!({})),
        recipe("one", &["two"], json!({})),
        recipe("two", &["one"], json!({})),
        recipe("lonely", &["nobody"], json!({})),
    ];
    let apps = ready(&circle).await;
    let (status, answer) = apps.ask("start", json!({})).await;
    assert_eq!((status, &answer["code"]), (422, &json!("dependency_cycle")), "{answer}");
    assert_eq!(answer["details"]["cycle"], json!(["one", "two", "one"]));
    let (status, answer) = apps.ask("lonely", json!({})).await;
    assert_eq!((status, &answer["code"]), (409, &json!("no_plugin")), "{answer}");
    assert!(jobs(&apps).await.is_empty());
    assert!(apps.statuses().await.is_empty());
}

#[tokio::test]
async fn the_same_wish_is_one_job_until_it_ended() {
    let apps =
        ready(&[recipe("slow", &[], json!({})), recipe("needy", &["slow"], json!({}))]).await;
    let config = json!({ "how": "waits" });
    let (first, second) =
        tokio::join!(apps.ask("slow", config.clone()), apps.ask("slow", config.clone()));
    assert_eq!((first.0, second.0), (202, 202), "{first:?} {second:?}");
    assert_eq!(first.1["job_id"], second.1["job_id"]);
    assert_ne!(first.1["deduplicated"], second.1["deduplicated"]);
    let slow = first.1["job_id"].as_str().unwrap().to_owned();
    let (status, other) = apps.ask("slow", json!({ "how": "waits", "tag": "2.0" })).await;
    assert_eq!((status, &other["code"]), (409, &json!("app_busy")), "{other}");
    assert_eq!(other["details"]["job_id"], json!(slow));
    let (status, removal) = apps.host.delete("/api/servers/web-1/apps/slow").await;
    assert_eq!((status, &removal["code"]), (409, &json!("app_busy")), "{removal}");
    let (_, needy) = apps.ask("needy", json!({})).await;
    assert_eq!(needy["depends_on"], json!([slow]));
    let logs = format!("/api/jobs/{slow}/logs");
    apps.host.until(&logs, |it| it.to_string().contains("waiting")).await;
    apps.host.delete(&format!("/api/jobs/{slow}")).await;
    apps.host.wait_for(needy["job_id"].as_str().unwrap(), "failed").await;
    assert_eq!(apps.statuses().await, ["slow: running (error)"], "its stack was deployed");
}

#[tokio::test]
async fn an_app_is_deployed_anew_as_it_was_or_otherwise() {
    let apps = ready(&[recipe("base", &[], json!({})), recipe("lone", &[], json!({}))]).await;
    apps.installed("base", json!({ "tag": "1.2" })).await;
    let (status, again) =
        apps.host.post("/api/servers/web-1/apps", json!({ "app_name": "base" })).await;
    assert_eq!((status, &again["deduplicated"]), (202, &json!(false)));
    let job = apps.host.wait_for(again["job_id"].as_str().unwrap(), "completed").await;
    assert_eq!(job["params"]["config"], json!({ "how": "runs", "tag": "1.2" }));
    let job = apps.installed("base", json!({})).await;
    assert_eq!(job["params"]["config"], json!({ "how": "runs" }));
    let job = apps.install("base", json!({ "how": "fails-late", "tag": "3.0" })).await;
    apps.host.wait_for(&job, "failed").await;
    assert_eq!(apps.statuses().await, ["base: running (error)"]);
    // A job that never began changes nothing of what is recorded.
    let first = apps.install("lone", json!({ "how": "waits" })).await;
    let second = apps.install("base", json!({ "tag": "4.0" })).await;
    let (_, cancelled) = apps.host.delete(&format!("/api/jobs/{second}")).await;
    assert_eq!(cancelled["success"], true, "{cancelled}");
    assert_eq!(apps.app("base").await["config"]["tag"], "3.0");
    apps.host.delete(&format!("/api/jobs/{first}")).await;
}

#[tokio::test]
async fn an_app_that_others_need_stays_until_they_are_gone() {
    let apps = ready(&tower()).await;
    apps.installed("top", json!({})).await;
    let (status, answer) = apps.host.delete("/api/servers/web-1/apps/base").await;
    assert_eq!((status, &answer["code"]), (409, &json!("app_required_by")), "{answer}");
    assert_eq!(answer["details"]["required_by"], json!(["middle", "top"]));
    for app in ["top", "middle", "base"] {
        apps.removed(app, false).await;
    }
    assert!(apps.statuses().await.is_empty());
    assert_eq!(apps.host.get("/api/servers/web-1").await.1["apps"], json!([]));
    let (status, answer) = apps.host.delete("/api/servers/web-1/apps/base").await;
    assert_eq!((status, &answer["code"]), (404, &json!("no_such_app")), "{answer}");
    assert_eq!(apps.host.delete("/api/servers/nobody/apps/base").await.0, 404);
    assert_eq!(apps.host.delete("/api/servers/web-1/apps/..%2Fx").await.0, 422);
}

#[tokio::test]
async fn a_removal_that_fails_leaves_the_app_in_the_list() {
    let apps = ready(&tower()).await;
    apps.installed("base", json!({ "on_removal": "fails" })).await;
    let job = apps.host.submit(Method::DELETE, "/api/servers/web-1/apps/base", None).await;
    apps.host.wait_for(&job, "failed").await;
    assert_eq!(apps.statuses().await, ["base: running (error)"]);
}

#[tokio::test]
async fn a_job_that_is_tried_again_settles_its_app_unless_another_changed_it() {
    let apps = ready(&tower()).await;
    let first = apps.install("base", json!({ "how": "waits" })).await;
    apps.host.wait_for(&first, "running").await;
    apps.host.delete(&format!("/api/jobs/{first}")).await;
    apps.host.wait_for(&first, "cancelled").await;
    let retry = |id: &str| format!("/api/jobs/{id}/retry");
    let (status, again) = apps.host.post(&retry(&first), json!({ "from": "start" })).await;
    assert_eq!(status, 202, "{again}");
    let second = again["job_id"].as_str().unwrap().to_owned();
    assert_eq!(apps.app("base").await["job_id"], json!(second));
    assert_eq!(apps.app("base").await["recorded_status"], "deploying");
    apps.host.delete(&format!("/api/jobs/{second}")).await;
    apps.host.wait_for(&second, "cancelled").await;
    assert_eq!(apps.app("base").await["recorded_status"], "error");
    apps.installed("base", json!({})).await;
    let (status, answer) = apps.host.post(&retry(&second), json!({})).await;
    assert_eq!((status, &answer["code"]), (409, &json!("app_changed")), "{answer}");
}

#[tokio::test]
async fn an_app_whose_recipe_is_gone_is_taken_away_by_the_version_that_deployed_it() {
    let mut apps = ready(&tower()).await;
    apps.installed("base", json!({})).await;
    apps.take("base");
    apps.host.terminate().await;
    apps.host.restart().await;
    let job = apps.removed("base", false).await;
    assert_eq!(job["plugin"]["version"], "1.0.0", "{job}");
    assert!(apps.statuses().await.is_empty());
}

#[tokio::test]
async fn an_app_is_taken_away_by_a_newer_recipe_where_there_is_one() {
    let mut apps = ready(&tower()).await;
    apps.installed("base", json!({})).await;
    // The last of a name in the folder is the active one.
    apps.put_as("c-base", &recipe("base", &[], json!({ "version": "2.0.0" })));
    apps.host.terminate().await;
    apps.host.restart().await;
    let job = apps.removed("base", false).await;
    assert_eq!(job["plugin"]["version"], "2.0.0", "the active one is asked first");
}

#[tokio::test]
async fn an_app_is_taken_away_by_what_deployed_it_when_nothing_newer_does() {
    let workshop = Workshop::open().await;
    workshop.create_server("web-1").await;
    let plugin = Plugin::read(component(&recipe("idle", &[], json!({})))).unwrap();
    let plugin = Arc::new(plugin);
    workshop.catalog.activate(&plugin);
    let record: AppRecord = serde_json::from_value(json!({
        "app_name": "idle", "server": "web-1", "title": "", "version": "1.0.0", "category": "",
        "status": "deploying", "job_id": "job_20261122_000000_000000", "plugin": plugin.pin(),
        "config": {}, "dependencies": [], "created_at": "2026-11-22T00:00:00Z",
        "deployed_at": null,
    }))
    .unwrap();
    let params = json!({ "server": "web-1", "app": "idle", "config": { "how": "idles" } });
    let change = ServerChange::Deploying(Box::new(record));
    let job = workshop.submit_job("deploy_app:idle", params.clone(), Some("web-1"), change).await;
    result(&workshop.finished(&job).await);
    workshop.catalog.deactivate("idle");
    assert!(workshop.catalog.active(&"delete_app:idle".parse().unwrap()).is_none());
    let (server, app) = ("web-1".parse().unwrap(), "idle".parse().unwrap());
    let change = ServerChange::Removing { server, app, forgets: false };
    let job = workshop.submit_job("delete_app:idle", params, Some("web-1"), change).await;
    let job = workshop.finished(&job).await;
    result(&job);
    assert_eq!(job.plugin.unwrap().digest, plugin.digest);
    assert!(workshop.store.apps(&"web-1".parse().unwrap()).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_app_waits_for_a_server_that_is_being_set_up_and_no_other() {
    let apps = AppsHost::start(&tower()).await;
    let job = apps.host.create_server("web-1").await;
    apps.host.wait_for(&job, "completed").await;
    let (status, answer) = apps.ask("base", json!({})).await;
    assert_eq!((status, &answer["code"]), (409, &json!("server_not_ready")), "{answer}");
    assert!(answer["next"].to_string().contains("POST /api/servers/web-1/setup"), "{answer}");
    let body = json!({ "ssl_email": "admin@example.com" });
    let setup = apps.host.submit(Method::POST, "/api/servers/web-1/setup", Some(body)).await;
    let (status, answer) = apps.ask("base", json!({})).await;
    assert_eq!(status, 202, "{answer}");
    // The setup may have ended by then.
    let waits = answer["depends_on"] == json!([setup]) || answer["depends_on"] == json!([]);
    assert!(waits, "{answer}");
    apps.host.wait_for(answer["job_id"].as_str().unwrap(), "completed").await;
    assert_eq!(apps.ask("nothing", json!({})).await.0, 422);
    let body = json!({ "app_name": "base" });
    assert_eq!(apps.host.post("/api/servers/nobody/apps", body).await.0, 404);
}

#[tokio::test]
async fn a_server_is_not_asked_for_more_memory_than_it_has() {
    let needs = |mb: u64| json!({ "min_memory_mb": mb });
    let recipes = [
        recipe("giant", &[], needs(500_000)),
        recipe("large", &[], needs(3_000)),
        recipe("other", &[], needs(3_000)),
    ];
    let apps = ready(&recipes).await;
    let (status, answer) = apps.ask("giant", json!({})).await;
    assert_eq!((status, &answer["code"]), (422, &json!("not_enough_memory")), "{answer}");
    let (_, first) = apps.ask("large", json!({})).await;
    assert_eq!(first["warnings"], json!([]), "{first}");
    let (status, second) = apps.ask("other", json!({})).await;
    assert_eq!(status, 202, "{second}");
    assert!(second["warnings"][0].as_str().unwrap().contains("MB"), "{second}");
}

#[tokio::test]
async fn a_server_that_goes_takes_its_apps_and_their_secrets_along() {
    let secret = json!({ "params": { "properties": {
        "password": { "type": "string", "writeOnly": true },
    }}});
    let apps = ready(&[recipe("kept", &[], secret)]).await;
    apps.installed("kept", json!({ "password": "a-long-password" })).await;
    let (status, refused) = apps.host.delete("/api/servers/web-1").await;
    assert_eq!((status, &refused["code"]), (409, &json!("server_has_apps")), "{refused}");
    assert_eq!(refused["details"]["apps"], json!(["kept"]), "{refused}");
    let job = apps.host.submit(Method::DELETE, "/api/servers/web-1?force=true", None).await;
    apps.host.wait_for(&job, "completed").await;
    apps.ready_server("web-1").await;
    assert!(apps.statuses().await.is_empty());
    // Had the secret stayed, the new app would have it.
    let job = apps.installed("kept", json!({})).await;
    assert_eq!(job["params"]["config"], json!({ "how": "runs" }));
    let mut apps = apps;
    apps.host.terminate().await;
    let names = configuration::secret_names(&apps).await;
    assert!(!names.iter().any(|name| name.contains("/kept/")), "{names:?}");
}

#[tokio::test]
async fn a_key_makes_a_repeated_request_the_same_job() {
    let apps = ready(&tower()).await;
    let request = |method: Method, path: &str, body: Option<Value>| {
        let request = apps.host.request(method, path).header("Idempotency-Key", path);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        apps.host.answer(request)
    };
    let path = "/api/servers/web-1/apps";
    let body = json!({ "app_name": "base" });
    let (_, first) = request(Method::POST, path, Some(body.clone())).await;
    apps.host.wait_for(first["job_id"].as_str().unwrap(), "completed").await;
    let (status, again) = request(Method::POST, path, Some(body)).await;
    assert_eq!((status, &again["job_id"]), (202, &first["job_id"]));
    let other = json!({ "app_name": "base", "config": { "tag": "2" } });
    let (status, answer) = request(Method::POST, path, Some(other)).await;
    assert_eq!((status, &answer["code"]), (422, &json!("idempotency_key_reused")), "{answer}");
    let path = "/api/servers/web-1/apps/base";
    let (_, first) = request(Method::DELETE, path, None).await;
    apps.host.wait_for(first["job_id"].as_str().unwrap(), "completed").await;
    let (status, again) = request(Method::DELETE, path, None).await;
    assert_eq!((status, &again["job_id"]), (202, &first["job_id"]), "{again}");
}
