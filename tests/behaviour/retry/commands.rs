//! Commands on a real server in jobs that are tried again: what is known to have failed is really
//! run again, and what may still be going on never twice.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tests::proxy::Proxy;
use tests::sshd::Sshd;
use tests::workshop::{Workshop, code, result};
use windlass::model::job::{JobRecord, JobStatus};
use windlass::model::names::JobId;
use windlass::model::retry::{Resolve, RetryFrom};

/// Waits until it is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        while !is_so() {
            pause.tick().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(120), waiting).await;
    waited.unwrap_or_else(|_elapsed| panic!("there never was: {what}"));
}

/// A server of this machine, and a command that counts how often it began and needs a gate.
struct Bench {
    workshop: Workshop,
    sshd: Sshd,
    proxy: Proxy,
}

impl Bench {
    async fn new(test: &str) -> Option<Self> {
        let sshd = Sshd::start(test)?;
        let proxy = Proxy::to(sshd.port()).await;
        let workshop = Workshop::open().await;
        workshop.add_machine("web-1", &sshd).await;
        let (port, name) = (proxy.port(), "web-1".parse().unwrap());
        let change = workshop.store.update_server(&name, Box::new(move |it| it.ssh.port = port));
        change.await.unwrap().unwrap();
        Some(Self { workshop, sshd, proxy })
    }

    fn gate(&self) -> PathBuf {
        self.sshd.folder().join("gate")
    }

    /// Counts, and then does this, in which `GATE` is the gate.
    async fn submit(&self, does: &str, timeout_ms: u64) -> JobId {
        let counter = self.sshd.folder().join("counter");
        let does = does.replace("GATE", &self.gate().display().to_string());
        let command = format!("echo x >> {}; echo began; {does}", counter.display());
        let what = json!({ "command": command, "timeout_ms": timeout_ms });
        self.workshop.submit_with("web-1", "runs-a-command", what).await
    }

    async fn run(&self, does: &str, timeout_ms: u64) -> JobRecord {
        let id = self.submit(does, timeout_ms).await;
        self.workshop.finished(&id).await
    }

    async fn again(&self, of: &JobRecord, resolve: Option<Resolve>) -> JobRecord {
        let id = self.workshop.retry(&of.id, RetryFrom::FailedStep, resolve).await;
        self.workshop.finished(&id).await
    }

    /// How often the command began.
    fn count(&self) -> usize {
        fs::read_to_string(self.sshd.folder().join("counter")).unwrap().lines().count()
    }

    /// Where the server keeps receipts.
    fn kept(&self) -> PathBuf {
        if self.sshd.access().user == "root" {
            PathBuf::from("/var/lib/windlass/receipts")
        } else {
            self.sshd.folder().join(".windlass/receipts")
        }
    }

    /// Waits until a chain of retries has so many receipts on the server.
    async fn receipts(&self, of: &JobRecord, wanted: usize) -> Vec<PathBuf> {
        let chain = of.root.to_string();
        let list = || -> Vec<PathBuf> {
            let found = fs::read_dir(self.kept()).unwrap().flatten();
            let found = found.filter(|it| it.file_name().to_string_lossy().starts_with(&chain));
            found.map(|it| it.path()).collect()
        };
        let what = format!("{wanted} receipts of {chain}");
        until(&what, || list().len() == wanted).await;
        list()
    }

    /// Lets a command out of sight go on to its end.
    async fn ends_out_of_sight(&self, job: &JobRecord) {
        let receipts = self.receipts(job, 1).await;
        fs::write(self.gate(), "").unwrap();
        let exit = receipts[0].join("exit");
        until("the command's end", || exit.exists()).await;
    }

    /// A job whose command was sent to a server that nobody can ask any more.
    async fn lost(&self) -> JobRecord {
        let id = self.submit("until [ -e GATE ]; do sleep 0.05; done; echo done", 3000).await;
        self.workshop.says(&id, "began").await;
        self.proxy.close();
        let job = self.workshop.finished(&id).await;
        assert_eq!((job.status, code(&job)), (JobStatus::Uncertain, "outcome_unknown"));
        self.proxy.cut();
        job
    }
}

#[tokio::test]
async fn a_command_that_ended_badly_is_run_again_each_time() {
    let Some(bench) = Bench::new("a_command_that_ended_badly_is_run_again").await else { return };
    let first = bench.run("test -e GATE", 60_000).await;
    assert_eq!(code(&first), "ended");
    let second = bench.again(&first, None).await;
    assert_eq!((code(&second), bench.count()), ("ended", 2));
    fs::write(bench.gate(), "").unwrap();
    let third = bench.again(&second, None).await;
    assert_eq!(result(&third)["said"], "began\n");
    assert_eq!((bench.count(), third.root.clone()), (3, first.id));
    bench.receipts(&third, 0).await;
}

#[tokio::test]
async fn a_command_that_took_too_long_is_dead_and_is_run_again() {
    let Some(bench) = Bench::new("a_command_that_took_too_long").await else { return };
    // The second run has no more time than the first: enough for a command to begin on a machine
    // that has much else to do.
    let first = bench.run("until [ -e GATE ]; do sleep 0.05; done", 10_000).await;
    assert_eq!(code(&first), "timeout");
    bench.receipts(&first, 0).await;
    fs::write(bench.gate(), "").unwrap();
    let second = bench.again(&first, None).await;
    assert_eq!((result(&second)["said"].as_str(), bench.count()), (Some("began\n"), 2));
    bench.receipts(&second, 0).await;
}

#[tokio::test]
async fn a_command_that_was_cut_off_on_the_server_is_run_again() {
    let Some(bench) = Bench::new("a_command_that_was_cut_off").await else { return };
    let first = bench.run("[ -e GATE ] || { kill -9 $PPID; sleep 0.1; exit 1; }", 60_000).await;
    assert_eq!(code(&first), "command_interrupted");
    bench.receipts(&first, 0).await;
    fs::write(bench.gate(), "").unwrap();
    let second = bench.again(&first, None).await;
    assert_eq!((result(&second)["said"].as_str(), bench.count()), (Some("began\n"), 2));
}

#[tokio::test]
async fn a_cancelled_command_is_run_again() {
    let Some(bench) = Bench::new("a_cancelled_command_is_run_again").await else { return };
    let id = bench.submit("until [ -e GATE ]; do sleep 0.05; done", 60_000).await;
    bench.workshop.says(&id, "began").await;
    let first = bench.workshop.cancel(&id).await;
    assert_eq!(first.status, JobStatus::Cancelled);
    bench.receipts(&first, 0).await;
    fs::write(bench.gate(), "").unwrap();
    let second = bench.again(&first, None).await;
    assert_eq!((result(&second)["said"].as_str(), bench.count()), (Some("began\n"), 2));
}

#[tokio::test]
async fn a_command_that_goes_on_out_of_sight_is_found_and_not_run_again() {
    let Some(bench) = Bench::new("a_command_that_goes_on_out_of_sight").await else { return };
    let first = bench.lost().await;
    bench.ends_out_of_sight(&first).await;
    let second = bench.again(&first, None).await;
    assert_eq!(result(&second)["said"], "began\ndone\n");
    assert_eq!(bench.count(), 1, "it was run once in all");
    bench.receipts(&second, 0).await;
}

#[tokio::test]
async fn a_command_on_a_server_that_a_stranger_answers_for_is_out_of_sight() {
    let test = "a_command_on_a_server_that_a_stranger_answers_for";
    let Some(bench) = Bench::new(test).await else { return };
    let Some(stranger) = Sshd::start(test) else { return };
    let id = bench.submit("until [ -e GATE ]; do sleep 0.05; done; echo done", 60_000).await;
    bench.workshop.says(&id, "began").await;
    bench.proxy.lead_to(stranger.port());
    let first = bench.workshop.finished(&id).await;
    assert_eq!((first.status, code(&first)), (JobStatus::Uncertain, "outcome_unknown"));
    let reason = first.failure.as_ref().unwrap().message.clone();
    assert!(reason.contains("host key"), "{reason}");
    bench.proxy.lead_to(bench.sshd.port());
    bench.ends_out_of_sight(&first).await;
    let second = bench.again(&first, None).await;
    assert_eq!((result(&second)["said"].as_str(), bench.count()), (Some("began\ndone\n"), 1));
}

#[tokio::test]
async fn a_command_out_of_sight_that_turns_out_to_have_failed_is_run_again_by_the_next_retry() {
    let Some(bench) = Bench::new("a_command_out_of_sight_that_failed").await else { return };
    // Whoever asks again finds that its time is long over, and ends it.
    let first = bench.lost().await;
    let second = bench.again(&first, None).await;
    assert_eq!((code(&second), bench.count()), ("timeout", 1));
    fs::write(bench.gate(), "").unwrap();
    let third = bench.again(&second, None).await;
    assert_eq!((result(&third)["said"].as_str(), bench.count()), (Some("began\ndone\n"), 2));
    bench.receipts(&third, 0).await;
}

#[tokio::test]
async fn a_person_decides_whether_a_command_out_of_sight_is_run_again() {
    for (resolve, count) in [(Resolve::Happened, 1), (Resolve::DidNotHappen, 2)] {
        let Some(bench) = Bench::new("a_person_decides_about_a_command").await else { return };
        let first = bench.lost().await;
        bench.ends_out_of_sight(&first).await;
        let second = bench.again(&first, Some(resolve)).await;
        assert_eq!((second.status, bench.count()), (JobStatus::Completed, count), "{resolve:?}");
        bench.receipts(&second, 0).await;
    }
}

#[tokio::test]
async fn a_retry_whose_host_stops_finds_its_own_command_again() {
    let Some(mut bench) = Bench::new("a_retry_whose_host_stops").await else { return };
    let waits = "[ $(wc -l < COUNTER) = 2 ] || exit 1; until [ -e GATE ]; do sleep 0.05; done";
    let counter = bench.sshd.folder().join("counter").display().to_string();
    let first = bench.run(&waits.replace("COUNTER", &counter), 60_000).await;
    assert_eq!(code(&first), "ended");
    let id = bench.workshop.retry(&first.id, RetryFrom::FailedStep, None).await;
    bench.workshop.says(&id, "began").await;
    bench.workshop = bench.workshop.restart().await;
    fs::write(bench.gate(), "").unwrap();
    let second = bench.workshop.finished(&id).await;
    assert_eq!((result(&second)["said"].as_str(), second.attempt), (Some("began\n"), 2));
    assert_eq!(bench.count(), 2, "once in each job");
    bench.receipts(&second, 0).await;
}
