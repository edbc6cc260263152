//! Machines on a bad day: each setup goes on, or ends with one sentence that says what to do.

use std::time::Duration;

use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::json;
use tests::commands;
use tests::lab::{Lab, Machine};
use tests::workshop::{Workshop, code};
use tokio_util::sync::CancellationToken;
use windlass::model::names::Identity;
use windlass::ssh::connection::Access;
use windlass::ssh::keys::KeyPair;
use windlass::ssh::session::Session;
use windlass::ssh::{Command, Remote};
use windlass::storage::ServerChange;

use super::machine::{build_images, docker_installs, host_and_machine, see};
use super::{said, scripts};

/// Runs a script of the setup inside; answers its exit code and what it said.
async fn run(machine: &Machine, script: &str) -> (String, String) {
    let inside = format!(
        "cat > /tmp/script <<'THE_END_OF_IT'\n{script}\nTHE_END_OF_IT\nsh /tmp/script 2>&1; echo \"exit $?\""
    );
    let said = machine.inside(&inside).await.unwrap();
    let (said, exit) = said.trim_end().rsplit_once("exit ").unwrap();
    (exit.to_owned(), said.to_owned())
}

/// The script fails with a sentence that has these words.
async fn check_fails(machine: &Machine, script: &str, words: &[&str]) {
    let (exit, said) = run(machine, script).await;
    assert_eq!(exit, "1", "{said}");
    let sentence = said.lines().rev().find_map(|line| line.strip_prefix("failed: "));
    let sentence = sentence.unwrap_or_else(|| panic!("no sentence: {said}"));
    println!("told: {sentence}");
    for word in words {
        assert!(sentence.contains(word), "`{word}` is not in: {sentence}\n{said}");
    }
}

/// Starts a program that holds dpkg's lock, and answers when it does.
async fn hold_lock(machine: &Machine) {
    let program = include_str!("../../src/lab/lock_holder.py");
    let held = machine
        .inside(&format!(
            "cat > /usr/local/bin/unattended-upgrade <<'THE_END_OF_IT'\n{program}\nTHE_END_OF_IT\n\
             chmod 755 /usr/local/bin/unattended-upgrade; rm -f /tmp/lock-is-held\n\
             setsid /usr/local/bin/unattended-upgrade > /dev/null 2>&1 < /dev/null &\n\
             until [ -e /tmp/lock-is-held ]; do sleep 0.1; done; echo held"
        ))
        .await;
    assert_eq!(held.unwrap(), "held\n");
}

async fn release_lock(machine: &Machine) {
    machine.inside("pkill -KILL unattended-upgr").await.unwrap();
}

/// Keys that are known here, and a first boot that ends in error.
fn user_data(login: &KeyPair, host: &KeyPair) -> String {
    let private = host.private_pem().unwrap();
    let private = private.expose_secret().replace('\n', "\n    ");
    format!(
        "#cloud-config\ndisable_root: false\nssh_authorized_keys: [\"{}\"]\nssh_deletekeys: true\n\
         ssh_keys:\n  ed25519_private: |\n    {private}\n  ed25519_public: \"{}\"\n\
         runcmd: [[sh, -c, \"exit 3\"]]\n",
        login.public_line(),
        host.public_line(),
    )
}

/// A command that cannot be noted on the server is refused with the reason, and was not begun: the
/// same one runs when there is room.
async fn check_full_receipts(machine: &Machine, login: &KeyPair, host: &KeyPair) {
    let remote = Session::new(Access {
        user: "root".to_owned(),
        address: machine.ip.to_string(),
        port: 22,
        key: login.private_pem().unwrap(),
        host_key_fingerprint: host.fingerprint(),
    });
    let remote = remote.unwrap();
    remote.wait_ready(Duration::from_secs(60), &|_| {}).await.unwrap();
    let command = Command {
        receipt: Identity { job: "job_20261122_120000_a1b2c3".parse().unwrap(), effect: 1 },
        line: "echo once".to_owned(),
        stdin: None,
        timeout: Duration::from_secs(60),
        cancel: CancellationToken::new(),
        lines: None,
    };
    let place = "/var/lib/windlass";
    let fill = "mkdir /var/lib/windlass/receipts; dd if=/dev/zero of=/var/lib/windlass/fill \
                > /dev/null 2>&1; echo full";
    let filled = format!("mkdir -p {place} && mount -t tmpfs -o size=64k tmpfs {place}; {fill}");
    assert_eq!(machine.inside(&filled).await.unwrap(), "full\n");
    let refused = remote.exec(command.clone()).await.unwrap_err().to_string();
    println!("told: {refused}");
    assert!(refused.contains("the disk is full at /var/lib/windlass"), "{refused}");
    machine.inside("rm /var/lib/windlass/fill").await.unwrap();
    assert_eq!(remote.exec(command).await.unwrap().stdout, "once\n");
    machine.inside(&format!("umount {place}")).await.unwrap();
}

fn script(name: &str) -> String {
    let mut scripts = scripts::all("debian", "bookworm", "amd64").into_iter();
    scripts.find(|(it, _)| it == name).unwrap().1
}

#[tokio::test]
async fn each_bad_day_of_a_machine_has_its_sentence() {
    let Some(lab) = Lab::shared("each_bad_day_of_a_machine_has_its_sentence") else { return };
    let (login, host) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let machine = lab.boot("bad-day-1", &user_data(&login, &host)).await.unwrap();
    machine.inside("until [ -e /run/cloud-init/result.json ]; do sleep 0.2; done").await.unwrap();

    let (exit, told) = run(&machine, &script("probe")).await;
    assert_eq!((exit.as_str(), told.contains("cloud-init ended in error")), ("0", true), "{told}");

    let small = |place: &str, size: &str| {
        format!("mkdir -p {place} && mount -t tmpfs -o size={size} tmpfs {place} && echo mounted")
    };
    let archives = "/var/cache/apt/archives";
    assert_eq!(machine.inside(&small(archives, "20m")).await.unwrap(), "mounted\n");
    let full = "/var/cache/apt/archives has 20 MiB left and needs 256";
    check_fails(&machine, &script("probe"), &[full, "free some space there"]).await;
    machine.inside(&format!("umount {archives}")).await.unwrap();

    check_full_receipts(&machine, &login, &host).await;

    hold_lock(&machine).await;
    let hurried = script("packages").replace("apt_lock_seconds=600", "apt_lock_seconds=4");
    let words = ["`unattended-upgr` (process ", "held apt's lock for 4 s", "`kill "];
    check_fails(&machine, &hurried, &words).await;
    release_lock(&machine).await;

    let broken = "cd /etc/apt && cp sources.list kept && sed -i 's|://[^ ]*|://127.0.0.1:9/debian|' \
                  sources.list";
    machine.inside(broken).await.unwrap();
    let words = ["the package mirror is broken or out of reach", "127.0.0.1:9", "sources.list"];
    check_fails(&machine, &script("packages"), &words).await;
    machine.inside("mv /etc/apt/kept /etc/apt/sources.list").await.unwrap();

    // One that fills up after all was found to be well.
    assert_eq!(machine.inside(&small(archives, "100k")).await.unwrap(), "mounted\n");
    let words = ["the disk is full at /var/cache/apt/archives (0 MiB left)", "free some space"];
    check_fails(&machine, &script("packages"), &words).await;
    machine.inside(&format!("umount {archives}")).await.unwrap();
    let (exit, told) = run(&machine, &script("packages")).await;
    assert_eq!(exit, "0", "{told}");
    lab.destroy("bad-day-1").await.unwrap();
}

#[tokio::test]
async fn a_setup_waits_for_apts_lock_and_goes_on_after_the_machine_restarted_in_the_middle() {
    let Some(lab) = Lab::shared("a_setup_waits_for_apts_lock") else { return };
    let (host, mut machine) = host_and_machine(lab, "setup-2").await;
    machine.inside("sysctl -w net.ipv6.conf.all.disable_ipv6=1").await.unwrap();
    hold_lock(&machine).await;
    let wanted = json!({ "ssl_email": "admin@example.com" });
    let path = "/api/servers/setup-2/setup";
    let job = host.submit(Method::POST, path, Some(wanted)).await;
    see(&host, &job, "holds apt's lock: waiting for it").await;
    release_lock(&machine).await;
    see(&host, &job, "Install Docker").await;
    see(&host, &job, "Unpacking docker.io").await;
    machine.reboot_in_place().await.unwrap();
    see(&host, &job, "running it again").await;
    see(&host, &job, "Initialize Swarm").await;
    let built = build_images(&machine).await;
    see(&host, &job, "Configure DNS").await;
    let ended = host.wait_for(&job, "completed").await;
    assert_eq!(ended["result"]["changed"], true, "{built} {ended}");

    let lines = said(&host, &job).await;
    let holder = lines.iter().find(|line| line.contains("holds apt's lock")).unwrap();
    assert!(holder.contains("`unattended-upgr` (process "), "{holder}");
    let sent = commands::sent(&host, &job).await;
    let docker = sent.iter().filter(|it| it.line == "# windlass: install-docker");
    let docker: Vec<_> = docker.collect();
    assert_eq!(docker.len(), 2, "cut off once, run again by the plugin once: {docker:?}");
    assert_eq!(docker[0].failure.as_deref(), Some("command_interrupted"));
    assert_eq!((docker[1].exit_code, docker[0].receipt == docker[1].receipt), (Some(0), false));
    assert_eq!(machine.inside("dpkg --audit").await.unwrap(), "");
    println!("apt-get installed Docker {} times", docker_installs(&machine).await);
    lab.destroy("windlass-setup-2").await.unwrap();
}

#[tokio::test]
async fn a_server_without_ipv4_is_told_so_before_anything_is_changed() {
    let workshop = Workshop::open().await;
    workshop.create_server("web-1").await;
    let name = "web-1".parse().unwrap();
    let change = workshop.store.update_server(&name, Box::new(|server| server.ipv4 = None));
    change.await.unwrap().unwrap();
    let params = json!({ "name": "web-1", "ssl_email": "admin@example.com" });
    let none = ServerChange::None;
    let id = workshop.submit_job("setup_server", params, Some("web-1"), none).await;
    let job = workshop.finished(&id).await;
    assert_eq!(code(&job), "no_ipv4");
    let message = job.failure.unwrap().message;
    assert!(message.contains("has no IPv4 address") && message.contains("create it with one"));
    assert!(workshop.journal(&id).await.iter().all(|entry| entry.event.kind() != "intent"));
}
