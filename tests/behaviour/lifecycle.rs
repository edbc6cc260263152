//! The life of a plugin: added, activated, gone back from, removed; and its jobs, which never notice.

mod cache;
mod canary;
mod collection;
mod compatibility;
mod crash;
mod directory;
mod grants;
mod swap;

use reqwest::Method;
use serde_json::json;
use tests::echo::{self, NAME, chosen, digest, ran};
use tests::host_process::{TestHost, program};

#[tokio::test]
async fn a_plugin_from_outside_runs_new_jobs_and_the_history_says_since_when() {
    let host = TestHost::start().await;
    let before = host.echo("first").await;
    let one = host.add_echo(echo::version(1)).await;
    assert_eq!(one, digest(&echo::version(1)));
    let job = host.echo("second").await;
    assert_eq!(ran(&job), ("7.7.1", one.as_str()));
    assert_ne!(before["plugin"]["digest"], job["plugin"]["digest"]);
    let history = host.echo_history().await;
    let causes: Vec<&str> = history.iter().map(|(cause, _)| cause.as_str()).collect();
    assert_eq!(causes, ["operator", "built-in"]);
    assert_eq!(history[0].1, one);
}

#[tokio::test]
async fn a_job_keeps_the_version_it_began_with_over_a_switch_and_a_crash() {
    let mut host = TestHost::start().await;
    let one = host.add_echo(echo::version(1)).await;
    let waiting = host.create_server("waits").await;
    host.wait_for(&waiting, "running").await;
    let two = host.add_echo(echo::version(2)).await;
    host.crash();
    host.restart().await;
    assert_eq!(ran(&host.echo("new").await), ("7.7.2", two.as_str()));
    let again = host.get(&format!("/api/jobs/{waiting}")).await.1;
    assert_eq!(again["plugin"]["digest"], one.as_str(), "{again:#}");
    host.becomes(&format!("/api/jobs/{waiting}"), "run again", |job| job["attempt"] == 2).await;
    let cancelled = host.delete(&format!("/api/jobs/{waiting}")).await;
    assert!(cancelled.0 < 300, "{cancelled:?}");
    let ended = host.ended(&waiting).await;
    assert_eq!(
        (&ended["status"], &ended["plugin"]["version"]),
        (&json!("cancelled"), &json!("7.7.1"))
    );
}

#[tokio::test]
async fn each_rollback_goes_further_back_until_there_is_nothing_before() {
    let host = TestHost::start().await;
    let built_in = host.echo_history().await[0].1.clone();
    let one = host.add_echo(echo::version(1)).await;
    let two = host.add_echo(echo::version(2)).await;
    for expected in [&one, &built_in] {
        let (status, back) = host.change("rollback", json!(null)).await;
        assert_eq!((status, back["digest"].as_str()), (200, Some(expected.as_str())), "{back}");
    }
    let (status, refused) = host.change("rollback", json!(null)).await;
    assert_eq!((status, &refused["code"]), (409, &json!("no_earlier_version")));
    let (status, chosen) = host.change("activate", chosen(&two)).await;
    assert_eq!(status, 200, "{chosen}");
    assert_eq!(ran(&host.echo("web").await), ("7.7.2", two.as_str()));
}

#[tokio::test]
async fn a_removed_plugin_gives_its_place_back_and_what_came_with_the_program_stays() {
    let host = TestHost::start().await;
    let built_in = host.echo_history().await[0].1.clone();
    host.add_echo(echo::version(1)).await;
    let path = format!("/api/plugins/{NAME}");
    let (status, removed) = host.delete(&path).await;
    assert_eq!((status, removed["digest"].as_str()), (200, Some(built_in.as_str())), "{removed}");
    let (status, refused) = host.delete(&path).await;
    assert_eq!((status, &refused["code"]), (409, &json!("built_in")));
    let (status, refused) = host.delete("/api/plugins/nobody").await;
    assert_eq!((status, &refused["code"]), (404, &json!("no_such_plugin")));
}

#[tokio::test]
async fn a_plugin_of_its_own_name_can_be_added_and_removed_for_good() {
    let mut host = TestHost::start().await;
    let (status, added) = host.upload("accept_grants=true", echo::KEPT.to_vec()).await;
    assert_eq!(status, 201, "{added}");
    host.crash();
    host.restart().await;
    let listed = host.get("/api/plugins").await.1;
    let mine =
        listed["plugins"].as_array().unwrap().iter().find(|it| it["name"] == "echo-versions");
    assert_eq!(mine.unwrap()["source"], "upload");
    assert_eq!(host.delete("/api/plugins/echo-versions").await.0, 200);
    host.crash();
    host.restart().await;
    let (status, plugin) = host.get("/api/plugins/echo-versions").await;
    assert_eq!((status, &plugin["active"]), (200, &json!(null)), "{plugin}");
}

#[tokio::test]
async fn the_name_of_a_plugin_that_came_with_the_program_is_not_taken_unasked() {
    let host = TestHost::start().await;
    let (status, refused) = host.upload("accept_grants=true", echo::version(1)).await;
    assert_eq!((status, &refused["code"]), (409, &json!("built_in_name")), "{refused}");
    assert_eq!(host.echo_history().await.len(), 1);
    assert!(host.kept_files().is_empty());
}

#[tokio::test]
async fn what_is_no_plugin_changes_nothing_and_is_told_why() {
    let host = TestHost::start().await;
    let not_wasm = host.request(Method::POST, "/api/plugins").body("hello");
    assert_eq!(host.answer(not_wasm).await.0, 415);
    let broken = &echo::KEPT[..echo::KEPT.len() / 2];
    let mute = echo::patched(echo::KEPT, "windlass:descriptor", "windlass:descripter");
    let liar = echo::patched(echo::KEPT, r#"["job", "dns"       ]"#, r#"["job"              ]"#);
    for (component, code, word) in [
        (b"hello".to_vec(), "not_a_component", "component"),
        (broken.to_vec(), "not_a_component", "component"),
        (mute, "bad_descriptor", "SDK"),
        (liar, "bad_descriptor", "`grants.interfaces`"),
    ] {
        let (status, refused) = host.upload("accept_grants=true", component).await;
        assert_eq!((status, &refused["code"]), (422, &json!(code)), "{refused}");
        assert!(refused["error"].as_str().unwrap().contains(word), "{refused}");
    }
    assert!(host.kept_files().is_empty());
}

#[tokio::test]
async fn a_version_can_be_brought_first_and_activated_later() {
    let host = TestHost::start().await;
    let query = "accept_grants=true&replace_built_in=true&activate=false";
    let (status, added) = host.upload(query, echo::version(1)).await;
    assert_eq!(status, 201, "{added}");
    let version = &host.echo_plugin().await["versions"][0];
    assert_eq!((&version["version"], &version["standing"]), (&json!("7.7.1"), &json!("kept")));
    let digest = version["digest"].as_str().unwrap();
    assert_eq!(host.change("activate", chosen(digest)).await.0, 200);
    assert_eq!(ran(&host.echo("web").await).0, "7.7.1");
    let unknown = format!("sha256:{}", "0".repeat(64));
    let (status, refused) = host.change("activate", chosen(&unknown)).await;
    assert_eq!((status, &refused["code"]), (404, &json!("no_such_version")));
}

#[tokio::test]
async fn operators_do_all_of_it_at_the_command_line() {
    let host = TestHost::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("echo.component");
    std::fs::write(&file, echo::version(3)).unwrap();
    let file = file.to_str().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = program();
        let done = command.arg("--home").arg(host.home()).arg("plugin").args(arguments).output();
        let done = done.unwrap();
        let said = [done.stdout, done.stderr].concat();
        (done.status.code().unwrap(), String::from_utf8(said).unwrap())
    };
    let digest = digest(&echo::version(3));
    let short = &digest["sha256:".len()..][..10];
    for (arguments, code, word) in [
        (vec!["add", file], 4, "--replace-built-in"),
        (vec!["add", file, "--replace-built-in"], 4, "interfaces dns"),
        (vec!["add", file, "--replace-built-in", "--accept-grants"], 0, "7.7.3 is active"),
        (vec!["list"], 0, "7.7.3"),
        (vec!["show", NAME], 0, "built-in"),
        (vec!["grants", NAME, "--revoke", "dns"], 0, "It has left: interfaces job."),
        (vec!["grants", NAME, "--restore", "dns"], 0, "interfaces job, dns"),
        (vec!["grants", NAME], 0, "asks for"),
        (vec!["rollback", NAME], 0, "is active"),
        (vec!["canary", NAME, short, "--percent", "20"], 0, "20 of 100 new jobs"),
        (vec!["canary", NAME, "--end"], 0, "active version"),
        (vec!["activate", NAME, short], 0, "7.7.3 is active"),
        (vec!["history", NAME], 0, "came with windlass"),
        (vec!["remove", NAME], 0, "is back"),
        (vec!["show", "nobody"], 4, "windlass plugin list"),
    ] {
        let (exit, said) = run(&arguments);
        assert_eq!(exit, code, "{arguments:?}: {said}");
        assert!(said.contains(word), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn the_next_programs_own_version_takes_over_and_jobs_find_theirs() {
    let mut host = TestHost::start().await;
    let built_in = host.echo_history().await[0].1.clone();
    assert!(!host.keeps(&built_in));
    host.echo("web-1").await;
    assert!(host.keeps(&built_in), "a job began with it, and the next program may bring another");
    assert!(host.terminate().await.success());
    let earlier = format!("sha256:{}", "1".repeat(64));
    echo::came_with_earlier_program(&host.home(), &earlier);
    host.restart().await;
    let history = host.echo_history().await;
    let expected = [("built-in".to_owned(), built_in), ("built-in".to_owned(), earlier)];
    assert_eq!(history, expected);
}
