//! A machine whose sshd and whose Docker Engine are restarted while it is set up, and a host that is
//! killed all the way through a setup of a real machine.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::json;
use tests::lab::{Lab, Machine};

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

#[tokio::test]
async fn a_real_machine_is_set_up_once_by_a_host_that_is_killed_all_the_time() {
    const TEST: &str = "a_real_machine_is_set_up_once_by_a_host_that_is_killed_all_the_time";
    if std::env::var_os("SLOW_TESTS").is_none() {
        return println!("SKIPPED: sets a machine up with many deaths, set SLOW_TESTS");
    }
    let Some(lab) = Lab::shared(TEST) else { return };
    let (mut host, machine) = host_and_machine(lab, "setup-4").await;
    host.terminate().await;
    // What was only read is read again by the next life, so that some must come far enough to have
    // something on disk.
    let mut random = StdRng::seed_from_u64(4);
    let mut kills = 0;
    let wanted = json!({ "ssl_email": "admin@example.com" });
    host.restart().await;
    let job = host.submit(Method::POST, "/api/servers/setup-4/setup", Some(wanted)).await;
    host.crash();
    let images = async {
        machine.inside("until docker info; do sleep 0.5; done > /dev/null 2>&1").await.unwrap();
        build_images(&machine).await
    };
    let lives = async {
        loop {
            if host.restart_to_die(random.random_range(2..=12)).await && host.completes(&job).await
            {
                return host;
            }
            host.died();
            kills += 1;
            assert!(kills < 300, "it does not get on:\n{}", host.log());
        }
    };
    let (host, built) = tokio::join!(lives, images);
    println!("killed {kills} times");
    assert!(kills > 5, "{kills} {built}");
    assert_eq!(docker_installs(&machine).await, 1);
    check_ran_once(&host, &job).await;
    check_services(&machine).await;
    lab.destroy("windlass-setup-4").await.unwrap();
}
