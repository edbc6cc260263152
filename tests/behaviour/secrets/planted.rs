//! Known values wherever a secret can be, and then a look everywhere for them: the database's files,
//! every answer of the API, the journals and streams, what the process wrote, what commands show.

use std::process::Output;

use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};
use tests::fake_cloudflare::{self, FakeCloudflare};
use tests::fake_digitalocean::{self, FakeDigitalOcean};
use tests::fake_hetzner::{self, FakeHetzner, Fault, Harm};
use tests::host_process::{Options, TestHost, program};
use tests::workshop::{Workshop, code, result};
use windlass::storage::ServerChange;
use windlass::vault::source::Source;

use super::{MASK, adopt, check, check_files, needles, values_by};

const HETZNER: &str = "planted-hetzner-token-that-nobody-may-see-00000000000000000000000";
const DIGITALOCEAN: &str = "dop_v1_planted_token_that_nobody_may_see_0000000000000000000000000";
const CLOUDFLARE: &str = "planted_cloudflare_token_nobody_sees_000";
const CLOUDFLARE_KEY: &str = "fedcba9876543210fedcba9876543210fedcb";
const REFUSED: &str = "planted-token-that-the-provider-refuses";
const MISPLACED: &str = "planted-token-in-a-field-that-there-is-not";
const PASSPHRASE: &str = "planted passphrase of the operator";
const QUOTED: &str = "the token planted-hetzner-token-that-nobody-may-see-00000000000000000000000 \
                      is not allowed to do this";

/// Makes secrets by plugins: in the right way, with a failure, with a panic, and by a setup.
async fn made_by_plugins() -> (Workshop, Vec<String>) {
    let mut workshop = Workshop::open().await;
    workshop.create_server("web-1").await;
    let mut jobs = Vec::new();
    for (how, ends) in [
        ("uses-secrets", None),
        ("fails-with-a-secret", Some("no_luck")),
        ("panics-with-a-secret", Some("plugin_trapped")),
    ] {
        let job = workshop.run_on("web-1", how).await;
        assert_eq!(job.failure.as_ref().map(|it| it.code.as_str()), ends, "{job:#?}");
        jobs.push(job.id.to_string());
    }
    let params = json!({ "name": "web-1", "ssl_email": "admin@example.com" });
    let none = ServerChange::None;
    let id = workshop.submit_job("setup_server", params, Some("web-1"), none).await;
    let job = workshop.finished(&id).await;
    assert_eq!(result(&job)["changed"], true);
    jobs.push(id.to_string());
    assert_eq!(code(&workshop.run_on("web-1", "panics").await), "plugin_trapped");
    workshop.stop().await;
    (workshop, jobs)
}

/// Runs the program to its end.
fn run(host: &TestHost, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = program();
    command.args(arguments).arg("--home").arg(host.home()).envs(environment.iter().copied());
    command.output().unwrap()
}

/// Every GET of the API's own description, with what there is put into its places.
async fn paths(host: &TestHost, jobs: &[String]) -> Vec<String> {
    let (_, described) = host.get("/openapi.json").await;
    let all = described["paths"].as_object().unwrap().iter();
    let mut paths = Vec::new();
    for (path, _) in all.filter(|(_, methods)| methods.get("get").is_some()) {
        if path == "/api/events" {
            continue;
        }
        let path = path.replace("{name}", "web-1").replace("{app_name}", "redis");
        if path.contains("{job_id}") {
            paths.extend(jobs.iter().map(|job| path.replace("{job_id}", job)));
        } else {
            paths.push(path);
        }
    }
    for job in jobs {
        paths.push(format!("/api/jobs/{job}/logs?tail=10000&level=debug"));
        paths.push(format!("/api/jobs/{job}/journal?limit=1000"));
    }
    paths.push("/api/providers/locations?provider=digitalocean".to_owned());
    paths
}

/// Configures everything, rightly and wrongly, and answers all that was said to it.
async fn configure(host: &TestHost, cloud: &FakeHetzner) -> Vec<(String, String)> {
    let provider = |name: &str, token: &str| json!({ "name": name, "token": token });
    let mut said = Vec::new();
    for (place, body, expected) in [
        ("provider", provider("hetzner", REFUSED), 422),
        ("provider", json!({ "name": "hetzner", "tokn": MISPLACED }), 422),
        ("provider", json!({ "name": MISPLACED, "token": MISPLACED }), 422),
        ("provider", json!({ "name": "hetzner", "default": MISPLACED }), 422),
        ("provider", provider("hetzner", HETZNER), 200),
        ("provider", provider("digitalocean", DIGITALOCEAN), 200),
        ("cloudflare", json!({ "api_token": CLOUDFLARE_KEY }), 422),
        ("cloudflare", json!({ "api_token": CLOUDFLARE }), 200),
        ("cloudflare", json!({ "email": "ops@example.com", "api_key": CLOUDFLARE_KEY }), 200),
    ] {
        let (status, answer) = host.post(&format!("/api/config/{place}"), body).await;
        assert_eq!(status, expected, "{answer}");
        said.push((format!("the answer of config/{place}"), answer.to_string()));
    }
    let quote = Harm::Say { status: 403, code: "forbidden", message: QUOTED };
    cloud.inject(Fault::on("GET /locations", quote).always());
    let (status, answer) = host.get("/api/providers/locations?provider=hetzner").await;
    assert!(status >= 400 && answer.to_string().contains(MASK), "{status} {answer}");
    said.push(("an error that quotes the token".to_owned(), answer.to_string()));
    said
}

/// Runs commands on the server that have a secret's value come back, and one that reads one.
async fn exec(host: &TestHost) -> Vec<(String, String)> {
    let reference = "${secret:web-1/app/password}";
    let mut said = Vec::new();
    for (command, stdin) in [("cat /root/.env", ""), ("cat /root/.env >&2", ""), ("cat", reference)]
    {
        let body = json!({ "command": command, "stdin": stdin });
        let (status, answer) = host.post("/api/servers/web-1/exec", body).await;
        assert_eq!(status, 200, "{answer}");
        said.push((command.to_owned(), answer.to_string()));
    }
    said
}

#[tokio::test]
async fn planted_values_are_nowhere_where_anybody_looks() {
    let (workshop, jobs) = made_by_plugins().await;
    let mut hetzner = fake_hetzner::Options::default();
    HETZNER.clone_into(&mut hetzner.token);
    let mut digitalocean = fake_digitalocean::Options::default();
    DIGITALOCEAN.clone_into(&mut digitalocean.token);
    let mut cloudflare = fake_cloudflare::Options::default();
    CLOUDFLARE.clone_into(&mut cloudflare.token);
    CLOUDFLARE_KEY.clone_into(&mut cloudflare.key);
    let hetzner = FakeHetzner::start(hetzner).await;
    let digitalocean = FakeDigitalOcean::start(digitalocean).await;
    let cloudflare = FakeCloudflare::start(cloudflare).await;
    let environment = [
        ("HCLOUD_ENDPOINT", hetzner.url()),
        ("DIGITALOCEAN_ENDPOINT", digitalocean.url()),
        ("CLOUDFLARE_ENDPOINT", cloudflare.url()),
        ("WINDLASS_LOG", "trace".to_owned()),
        ("WINDLASS_PASSPHRASE", PASSPHRASE.to_owned()),
        ("WINDLASS_RECONCILE_SECONDS", "0.2".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let mut host = TestHost::start_with(Options { environment: environment.to_vec() }).await;
    host.terminate().await;
    std::fs::remove_file(host.home().join("passphrase.json")).unwrap();
    adopt(workshop.home(), &host.home());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{PASSPHRASE}\n")).unwrap();
    let rotate = ["vault", "rotate", "--new-passphrase-file", file.path().to_str().unwrap()];
    let rotated = run(&host, &[], &rotate);
    assert!(rotated.status.success(), "{rotated:?}");
    host.restart().await;

    let mut said = configure(&host, &hetzner).await;
    said.extend(exec(&host).await);
    let setup = json!({ "ssl_email": "admin@example.com" });
    let job = host.submit(Method::POST, "/api/servers/web-1/setup", Some(setup)).await;
    host.wait_for(&job, "completed").await;
    let jobs = [jobs, vec![job]].concat();
    for path in paths(&host, &jobs).await {
        let response = host.request(Method::GET, &path).send().await.unwrap();
        said.push((path, response.text().await.unwrap()));
    }
    let known = [("WINDLASS_PASSPHRASE", PASSPHRASE)];
    let mut shown: Vec<Vec<&str>> = vec![vec!["server", "list"], vec!["token", "list"]];
    for job in &jobs {
        shown.extend([
            vec!["job", "show", job],
            vec!["job", "logs", job],
            vec!["job", "watch", job],
        ]);
    }
    for arguments in shown {
        let Output { stdout, stderr, .. } = run(&host, &known, &arguments);
        let text = [stdout, stderr].concat();
        said.push((arguments.join(" "), String::from_utf8_lossy(&text).into_owned()));
    }

    let copy = tempfile::tempdir().unwrap();
    adopt(&host.home(), copy.path());
    let source = Source::Passphrase(SecretString::from(PASSPHRASE));
    let mut values = values_by(copy.path(), &source).await.unwrap();
    let sealed: Vec<String> = values.iter().map(|(name, _)| name.clone()).collect();
    for name in [
        "provider/hetzner/token",
        "provider/digitalocean/token",
        "credentials/cloudflare",
        "server/web-1/secret/portainer/admin-password",
        "server/web-1/secret/app/password",
        "server/web-1/ssh_key",
        "server/web-1/host_key",
    ] {
        assert!(sealed.iter().any(|it| it == name), "{name} is not among {sealed:?}");
    }
    for planted in
        [HETZNER, DIGITALOCEAN, CLOUDFLARE, CLOUDFLARE_KEY, REFUSED, MISPLACED, PASSPHRASE]
    {
        values.push((planted.to_owned(), planted.to_owned()));
    }
    let needles = needles(&values);
    // While it runs: with the database's log of writes.
    assert!(host.home().join("windlass.db-wal").exists());
    // Files on the sandbox's servers are where the values belong.
    let files = check_files(&host.home(), &["/files/"], &needles);
    host.terminate().await;
    let after = check_files(&host.home(), &["/files/"], &needles);
    said.push(("the log".to_owned(), host.log()));
    said.push(("the standard output".to_owned(), host.output()));
    for (place, text) in &said {
        check(place, text.as_bytes(), &needles);
    }
    assert!(host.log().contains("TRACE") && host.output().contains("listening on"));
    assert!(count(&said, MASK) > 5, "masks show that the values came by");
    println!("{} values, {} places, {files} and {after} files", values.len(), said.len());
}

fn count(said: &[(String, String)], word: &str) -> usize {
    said.iter().filter(|(_, text)| text.contains(word)).count()
}

#[tokio::test]
async fn a_setup_hands_the_administrators_password_over_and_shows_it_to_nobody() {
    let host = TestHost::start().await;
    let created = host.create_server("web-1").await;
    host.wait_for(&created, "completed").await;
    let setup = json!({ "ssl_email": "admin@example.com" });
    let job = host.submit(Method::POST, "/api/servers/web-1/setup", Some(setup)).await;
    host.wait_for(&job, "completed").await;
    let copy = tempfile::tempdir().unwrap();
    adopt(&host.home(), copy.path());
    let values = values_by(copy.path(), &Source::File).await.unwrap();
    let password = values.iter().find(|(name, _)| name.ends_with("portainer/admin-password"));
    let (_, password) = password.expect("it is kept");
    assert!(password.len() == 32 && password.chars().all(|c| c.is_ascii_alphanumeric()));
    let needles = needles(&[("the password".to_owned(), password.clone())]);
    for end in ["", "/logs?tail=10000&level=debug", "/journal?limit=1000", "/events"] {
        let path = format!("/api/jobs/{job}{end}");
        let response = host.request(Method::GET, &path).send().await.unwrap();
        check(&path, &response.bytes().await.unwrap(), &needles);
    }
    let (_, journal) = host.get(&format!("/api/jobs/{job}/journal?limit=1000")).await;
    let handed = journal["entries"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry: &&Value| entry["remote"]["first_line"] == "# windlass: portainer-secret");
    let handed = handed.expect("it was handed over");
    assert!(handed["request"]["stdin_sha256"].is_string(), "by standard input: {handed}");
    assert!(journal.to_string().contains("${secret:web-1/portainer/admin-password}"));
}
