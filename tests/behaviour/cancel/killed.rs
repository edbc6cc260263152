//! A host that dies while it stops a command on a real server, wherever that is.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};
use tests::killable::KillableWorkshop;
use tests::sshd::Sshd;
use tests::workshop::{Workshop, code};
use windlass::model::job::JobStatus;
use windlass::model::journal::Event;
use windlass::model::names::JobId;

use super::is_alive;

/// Where it dies once the wish is on disk: the numbers follow three points of the command's start.
const POINTS: [(&str, &str); 5] = [
    ("4", "after-cancel job"),
    ("5", "after-send ssh.exec"),
    ("6", "after-outcome ssh.exec"),
    ("7", "before-end job"),
    ("8", "after-end job"),
];

/// A command that notes the time as long as it lives.
struct Beating {
    folder: PathBuf,
}

impl Beating {
    fn new(sshd: &Sshd, name: &str) -> Self {
        let folder = sshd.folder().join(name);
        fs::create_dir(&folder).unwrap();
        Self { folder }
    }

    fn what(&self, trap: &str) -> Value {
        let at = self.folder.display();
        let command = format!(
            "{trap} echo x >> {at}/begun; echo $$ > {at}/pid; echo begun; \
             while :; do date +%s%N >> {at}/beats; sleep 0.02; done"
        );
        json!({ "command": command, "timeout_ms": 600_000 })
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }

    /// When it was alive for the last time.
    fn last_beat(&self) -> i128 {
        let beats = self.read("beats");
        beats.lines().rev().find_map(|line| line.parse().ok()).unwrap()
    }
}

/// A home with a server in it, and nobody who works there.
async fn home_with(sshd: &Sshd) -> Workshop {
    let mut workshop = Workshop::open().await;
    workshop.add_machine("web-1", sshd).await;
    workshop.stop().await;
    workshop
}

/// Another host takes the job up: it ends as cancelled, its command was started once, and was dead
/// before that was written.
async fn check_ends(workshop: Workshop, job: &JobId, command: &Beating, point: &str) {
    let mut workshop = workshop.restart().await;
    let record = workshop.finished(job).await;
    let pid = command.read("pid");
    assert!(!is_alive(pid.trim()), "{point}: {pid} runs on");
    assert_eq!((record.status, code(&record)), (JobStatus::Cancelled, "cancelled"), "{point}");
    let journal = workshop.journal(job).await;
    let is_end = |event: &Event| matches!(event, Event::Finished { .. });
    let ends: Vec<Timestamp> =
        journal.iter().filter(|entry| is_end(&entry.event)).map(|entry| entry.at).collect();
    assert_eq!(ends.len(), 1, "{point}");
    assert!(command.last_beat() < ends[0].as_nanosecond(), "{point}: it lived on");
    assert_eq!(command.read("begun"), "x\n", "{point}");
    workshop.stop().await;
}

#[tokio::test]
async fn a_command_is_dead_before_its_job_is_cancelled_wherever_the_host_dies() {
    let Some(sshd) = Sshd::start("a host that dies while it stops a command") else { return };
    for (number, point) in POINTS {
        let workshop = home_with(&sshd).await;
        let command = Beating::new(&sshd, number);
        let (home, what) = (workshop.home(), command.what(""));
        let how = ("runs-a-command", &what);
        let mut process = KillableWorkshop::start_to_die(home, "web-1", how, &[number, "begun"]);
        let job = process.job().await;
        assert_eq!(process.died().await, point);
        check_ends(workshop, &job, &command, point).await;
    }
}

#[tokio::test]
async fn a_host_that_dies_between_term_and_kill_leaves_nothing_running() {
    let Some(sshd) = Sshd::start("a host that dies between TERM and KILL") else { return };
    let workshop = home_with(&sshd).await;
    let command = Beating::new(&sshd, "deaf");
    let termed: &Path = &command.folder.join("termed");
    let what = command.what(&format!("trap 'echo x >> {}' TERM;", termed.display()));
    let how = ("runs-a-command", &what);
    let never = u64::MAX.to_string();
    let mut process =
        KillableWorkshop::start_to_die(workshop.home(), "web-1", how, &[&never, "begun"]);
    let job = process.job().await;
    let mut look = tokio::time::interval(std::time::Duration::from_millis(20));
    while !termed.exists() {
        look.tick().await;
    }
    process.kill().await;
    check_ends(workshop, &job, &command, "between TERM and KILL").await;
}
