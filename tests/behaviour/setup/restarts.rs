//! A machine whose sshd and whose Docker Engine are restarted while it is set up, and a host that is
//! killed at every boundary of a setup of a real machine.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;
use tests::host_process::TestHost;
use tests::journal;
use tests::lab::{Lab, Machine};
use windlass::app::evidence::LAST_WORDS;

use super::machine::{
    build_images, check_ran_once, check_services, docker_installs, host_and_machine, see,
};

async fn restart_sshd(machine: &Machine) {
    machine.kill_sshd().await.unwrap();
    machine.start_sshd().await.unwrap();
}

/// As its init script would, where there is one that works.
async fn restart_docker(machine: &Machine) {
    let restart = "pkill -TERM -x dockerd; while pgrep -x dockerd; do sleep 0.1; done; \
                   setsid dockerd < /dev/null & until docker version; do sleep 0.1; done";
    machine.inside(&format!("({restart}) >> /var/log/docker.log 2>&1")).await.unwrap();
}

#[tokio::test]
async fn a_setup_goes_on_when_sshd_and_docker_are_restarted_in_the_middle() {
    const TEST: &str = "a_setup_goes_on_when_sshd_and_docker_are_restarted";
    if std::env::var_os("SLOW_TESTS").is_none() {
        return println!("SKIPPED: sets a machine up once more, set SLOW_TESTS");
    }
    let Some(lab) = Lab::shared(TEST) else { return };
    let (host, machine) = host_and_machine(lab, "setup-3").await;
    let wanted = json!({ "ssl_email": "admin@example.com" });
    let job = host.submit(Method::POST, "/api/servers/setup-3/setup", Some(wanted)).await;
    see(&host, &job, "Install Docker").await;
    see(&host, &job, "Unpacking docker.io").await;
    restart_sshd(&machine).await;
    see(&host, &job, "Initialize Swarm").await;
    build_images(&machine).await;
    see(&host, &job, "Deploy Traefik").await;
    restart_sshd(&machine).await;
    restart_docker(&machine).await;
    see(&host, &job, "Deploy Portainer").await;
    restart_docker(&machine).await;
    let ended = host.wait_for(&job, "completed").await;
    assert_eq!(ended["result"]["changed"], true, "{ended}");
    assert_eq!(docker_installs(&machine).await, 1);
    check_ran_once(&host, &job).await;
    check_services(&machine).await;
    lab.destroy("windlass-setup-3").await.unwrap();
}

/// Asks for a setup, and kills the host as soon as a worker has it: nothing was done. Answers the
/// job.
async fn killed_before_it_begins(host: &mut TestHost, server: &str) -> String {
    assert!(host.restart_to_die(1).await);
    let wanted = json!({ "ssl_email": "admin@example.com" });
    let path = format!("/api/servers/{server}/setup");
    // The answer may come or not.
    let _answer = host.request(Method::POST, &path).json(&wanted).send().await;
    host.died();
    journal::newest_job(&host.home().join("windlass.db"))
}

/// How often a host died at which kind of boundary.
fn deaths(host: &TestHost) -> BTreeMap<String, usize> {
    let log = host.log();
    let deaths = log.lines().filter_map(|line| line.strip_prefix(LAST_WORDS));
    let mut kinds = BTreeMap::new();
    deaths.for_each(|death| *kinds.entry(death.to_owned()).or_default() += 1);
    kinds
}

/// Kills the host at each boundary that the job comes to, one life each, until it is completed.
/// Answers how often it was killed at which kind of boundary.
async fn killed_at_every_boundary(host: &mut TestHost, job: &str) -> BTreeMap<String, usize> {
    let database = host.home().join("windlass.db");
    let (mut point, mut known) = (2, 0);
    let mut kills = 1;
    while !(host.restart_to_die(point).await && host.completes(job).await) {
        host.died();
        kills += 1;
        assert!(kills < 600, "it does not get on:\n{}", host.log());
        // The first point of each life is the claim, the second the first of what is not on disk
        // yet. After a life that put something there the next one dies at that; after another one
        // it has to come further.
        let on_disk = journal::effects_on_disk(&database, job);
        point = if on_disk > known { 2 } else { point + 1 };
        known = on_disk;
    }
    let kinds = deaths(host);
    assert_eq!(kinds.values().sum::<usize>(), kills, "{kinds:#?}");
    kinds
}

#[tokio::test]
async fn a_real_machine_is_set_up_once_by_a_host_that_is_killed_at_every_boundary() {
    const TEST: &str = "a_real_machine_is_set_up_once_by_a_host_that_is_killed_at_every_boundary";
    if std::env::var_os("SLOW_TESTS").is_none() {
        return println!("SKIPPED: sets a machine up with many deaths, set SLOW_TESTS");
    }
    let Some(lab) = Lab::shared(TEST) else { return };
    let (mut host, machine) = host_and_machine(lab, "setup-4").await;
    host.terminate().await;
    let job = killed_before_it_begins(&mut host, "setup-4").await;
    let images = async {
        machine.inside("until docker info; do sleep 0.5; done > /dev/null 2>&1").await.unwrap();
        build_images(&machine).await
    };
    let began = std::time::Instant::now();
    let (kinds, built) = tokio::join!(killed_at_every_boundary(&mut host, &job), images);
    let kills = kinds.values().sum::<usize>();
    println!("killed {kills} times in {:?}:", began.elapsed());
    kinds.iter().for_each(|(kind, kills)| println!("  {kind}: {kills}"));
    let killed_at = |boundary: &str| kinds.get(boundary).copied().unwrap_or_default();
    for boundary in ["claimed job", "before-end job", "after-end job"] {
        assert!(killed_at(boundary) > 0, "never killed at {boundary}: {kinds:#?} {built}");
    }
    let commands = check_ran_once(&host, &job).await.len();
    for boundary in ["before-intent", "after-intent", "after-send", "after-outcome"] {
        let kills = killed_at(&format!("{boundary} ssh.exec"));
        assert!(
            kills >= commands,
            "{kills} times at {boundary} of {commands} commands: {kinds:#?}"
        );
    }
    assert_eq!(docker_installs(&machine).await, 1);
    check_services(&machine).await;
    lab.destroy("windlass-setup-4").await.unwrap();
}
