//! What commands print, as people and programs see it. What differs from run to run is replaced by
//! its kind; `INSTA_UPDATE=always` writes these files anew.

use std::fmt::Write;

use insta::Settings;
use tests::host_process::TestHost;

use super::{run, stderr, stdout};

/// What each command says and ends with, one after the other.
struct Screens<'h> {
    host: &'h TestHost,
    text: String,
}

impl<'h> Screens<'h> {
    fn of(host: &'h TestHost) -> Self {
        Self { host, text: String::new() }
    }

    /// Runs a command; off the runtime's thread, which may have to answer it.
    async fn see(mut self, line: &str) -> Self {
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let home = self.host.home();
        let ran = tokio::task::spawn_blocking(move || {
            run(&home, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
        });
        let output = ran.await.expect("no panic");
        let code = output.status.code().expect("it ends by itself");
        let text = &mut self.text;
        let _ = write!(text, "$ windlass {line}\n{}{}", stdout(&output), stderr(&output));
        let _ = writeln!(text, "-> {code}\n");
        self
    }

    fn check(self, name: &str) {
        let mut settings = Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let home = self.host.home();
        for (pattern, kind) in [
            (r"job_\d{8}_\d{6}_[0-9a-f]{6}", "JOB"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
            (r"sha256:[0-9a-f]+", "DIGEST"),
            (r"SHA256:[A-Za-z0-9+/]+", "FINGERPRINT"),
            (r"\b(sb|key)-[0-9a-f]{8,12}\b", "ID"),
            (r"198\.1[89]\.\d+\.\d+", "IPV4"),
            (r"2001:db8:[0-9a-f:]+", "IPV6"),
            (r"\bwl_[0-9A-Za-z_-]{40,}", "TOKEN"),
            (r#"("duration_ms": )\d+"#, "${1}MS"),
            (r"127\.0\.0\.1:\d+", "ADDRESS"),
            (r"process id \d+", "process id PID"),
            (r"\b[0-9a-f]{16}\b", "HASH"),
            ("windlass-under-test", "windlass"),
            // Columns are as wide as what stands in them.
            (r"(\S)  +", "$1  "),
        ] {
            settings.add_filter(pattern, kind);
        }
        settings.add_filter(&home.display().to_string(), "HOME");
        settings.bind(|| insta::assert_snapshot!(name, self.text));
    }
}

#[tokio::test]
async fn servers() {
    let host = TestHost::start().await;
    Screens::of(&host)
        .see("server list")
        .await
        .see("server create web-1")
        .await
        .see("server list")
        .await
        .see("--json server list")
        .await
        .see("server show web-1")
        .await
        .see("server types")
        .await
        .see("server protect web-1 on")
        .await
        .see("server delete web-1")
        .await
        .see("server protect web-1 automatic")
        .await
        .see("exec web-1 -- echo hello")
        .await
        .see("exec web-1 -- exit 3")
        .await
        .see("--json exec web-1 -- id -u")
        .await
        .see("server show none")
        .await
        .see("--json server show none")
        .await
        .see("server create web-1")
        .await
        .see("server create A.b")
        .await
        .see("server create web-2 --type huge --region nbg1")
        .await
        .see("server create web-2 --type huge")
        .await
        .see("server create web-2 --region moon")
        .await
        .see("--url ftp://127.0.0.1 server list")
        .await
        .see("server setup web-1 --email nobody")
        .await
        .see("server setup web-1 --email ops@example.com --zone example.com --subdomain lab")
        .await
        .see("server delete web-1")
        .await
        .check("servers");
}

#[tokio::test]
async fn jobs() {
    let host = TestHost::start().await;
    let empty = Screens::of(&host).see("job list").await;
    let job = host.create_server("web-1").await;
    host.wait_for(&job, "completed").await;
    empty
        .see("job list")
        .await
        .see("--json job list --status completed")
        .await
        .see("job list --status failed")
        .await
        .see("job list --status done")
        .await
        .see(&format!("job show {job}"))
        .await
        .see(&format!("job watch {job}"))
        .await
        .see(&format!("job logs {job}"))
        .await
        .see(&format!("--json job logs {job} --tail 1"))
        .await
        .see(&format!("job cancel {job}"))
        .await
        .see(&format!("job retry {job}"))
        .await
        .see("job show job_20260110_150000_a1b2c3")
        .await
        .see("job watch job_20260110_150000_a1b2c3")
        .await
        .see("job show x")
        .await
        .see("job delete --older-than 7d")
        .await
        .see("job delete --older-than soon")
        .await
        .check("jobs");
}

#[tokio::test]
async fn apps() {
    let host = TestHost::start().await;
    let job = host.create_server("web-1").await;
    host.wait_for(&job, "completed").await;
    Screens::of(&host)
        .see("app list --category database")
        .await
        .see("app list --search nothing-of-the-kind")
        .await
        .see("app installed web-1")
        .await
        .see("app install web-1 redis")
        .await
        .see("server setup web-1 --email ops@example.com")
        .await
        .see("app install web-1 rediss")
        .await
        .see("app install web-1 redis --config nonsense")
        .await
        .see("app install web-1 redis --config nonsense=1")
        .await
        .see("app install web-1 redis")
        .await
        .see("app installed web-1")
        .await
        .see("--json app installed web-1")
        .await
        .see("server delete web-1")
        .await
        .see("app remove web-1 redis --delete-data")
        .await
        .see("app remove web-1 redis")
        .await
        .check("apps");
}

#[tokio::test]
async fn the_host_itself() {
    let host = TestHost::start().await;
    Screens::of(&host)
        .see("init")
        .await
        .see("token create dashboard --scope read")
        .await
        .see("token create dashboard")
        .await
        .see("token create dashboard --scope all")
        .await
        .see("token list")
        .await
        .see("--json token list")
        .await
        .see("token revoke dashboard")
        .await
        .see("token revoke dashboard")
        .await
        .see("config provider sandbox")
        .await
        .see("config provider hetzner")
        .await
        .see("config provider nowhere")
        .await
        .see("config cloudflare")
        .await
        .see("vault rotate")
        .await
        .see("serve")
        .await
        .see("nonsense")
        .await
        .see("--json nonsense")
        .await
        .see("--json token create")
        .await
        .check("host");
}

#[tokio::test]
async fn plugins() {
    let host = TestHost::start().await;
    Screens::of(&host)
        .see("plugin show create-server")
        .await
        .see("plugin history create-server")
        .await
        .see("plugin grants create-server")
        .await
        .see("--json plugin grants create-server")
        .await
        .see("plugin show none")
        .await
        .see("plugin rollback create-server")
        .await
        .see("plugin activate create-server 00")
        .await
        .see("plugin add none.wasm")
        .await
        .see("plugin inspect none.wasm")
        .await
        .check("plugins");
}

#[tokio::test]
async fn plans() {
    let host = TestHost::start().await;
    Screens::of(&host)
        .see("plan server create web-1 --type cx23 --region nbg1")
        .await
        .see("plan server create web-1 --type huge --region nbg1")
        .await
        .see("plan server delete web-1")
        .await
        .see("server create web-1")
        .await
        .see("plan server setup web-1 --email ops@example.com --zone example.com")
        .await
        .see("plan install web-1 redis")
        .await
        .see("server setup web-1 --email ops@example.com --zone example.com")
        .await
        .see("plan install web-1 n8n")
        .await
        .see("--json plan install web-1 redis")
        .await
        .see("app install web-1 redis --if-plan 0000000000000000")
        .await
        .see("plan remove web-1 redis")
        .await
        .check("plans");
}
