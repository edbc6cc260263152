//! Commands in containers: once, whole, and ended with their job.

use std::time::Duration;

use tests::bench::Bench;
use tests::lab::Lab;
use tests::proxy::Proxy;
use windlass::effects::containers::RunInContainer;
use windlass::effects::secrets::{EnsureSecret, Policy};

use super::{Container, IMAGE, run, sshd};

/// Notes that it ran, says so, and waits for a file.
const WAITS: &str =
    "echo ran >> /count; echo begun; until [ -e /go ]; do sleep 0.1; done; echo end";

#[tokio::test]
async fn a_command_in_a_container_runs_once_though_the_connection_breaks_and_the_host_dies() {
    const TEST: &str = "a_command_in_a_container_runs_once";
    let Some(lab) = Lab::shared(TEST) else { return };
    let Some(sshd) = sshd(lab, TEST) else { return };
    let container = Container::start(lab, "shop_once", IMAGE, &["sleep", "infinity"]);
    let proxy = Proxy::to(sshd.port()).await;
    let bench = Bench::at(&sshd, proxy.port()).await;
    let job = bench.app_job("shop", &[], false).await;
    let (id, effect) = (job.id(), run(&job, "once", &["sh", "-c", WAITS], None));
    tokio::select! {
        output = job.perform(&effect) => panic!("it ended before it could: {output:?}"),
        _ = bench.says(&id, "begun") => {}
    }
    let job = bench.restarted(job).await;
    let effect = run(&job, "once", &["sh", "-c", WAITS], None);
    let connected = proxy.connections();
    let ended = tokio::join!(job.perform(&effect), async {
        while proxy.connections() == connected {
            tokio::task::yield_now().await;
        }
        proxy.cut();
        lab.docker(&["exec", &container.id, "touch", "/go"]);
    });
    let output = ended.0.unwrap();
    assert_eq!((output.exit_code, output.stdout.as_str()), (0, "begun\nend\n"));
    assert_eq!(container.file("/count"), "ran\n");
    let again = bench.restarted(job).await;
    assert_eq!(
        again.perform(&run(&again, "once", &["sh", "-c", WAITS], None)).await.unwrap(),
        output
    );
    assert_eq!(container.file("/count"), "ran\n");
}

#[tokio::test]
async fn a_command_that_takes_too_long_or_is_cancelled_ends_in_the_container_too() {
    const TEST: &str = "a_command_that_takes_too_long_ends_in_the_container_too";
    let Some(lab) = Lab::shared(TEST) else { return };
    let Some(sshd) = sshd(lab, TEST) else { return };
    let container = Container::start(lab, "shop_ends", IMAGE, &["sleep", "infinity"]);
    let bench = Bench::at(&sshd, sshd.port()).await;
    let job = bench.app_job("shop", &[], false).await;
    // A child that leaves its parent and its group, and a program without any shell.
    let forks = ["sh", "-c", "setsid sleep 7001 & echo begun; exec sleep 7002"];
    let slow =
        RunInContainer { timeout: Duration::from_secs(4), ..run(&job, "ends", &forks, None) };
    let failure = job.perform(&slow).await.unwrap_err();
    assert_eq!(failure.code, "timeout", "{failure:?}");
    let left = container.processes();
    assert!(!left.contains("sleep 7") && left.contains("sleep infinity"), "{left}");

    let plain = run(&job, "ends", &["sleep", "7003"], None);
    let (ended, ()) = tokio::join!(job.perform(&plain), async {
        while !container.processes().contains("sleep 7003") {
            tokio::task::yield_now().await;
        }
        job.cancel();
    });
    assert_eq!(ended.unwrap_err().code, "cancelled");
    let left = container.processes();
    assert!(!left.contains("sleep 7") && left.contains("sleep infinity"), "{left}");
}

#[tokio::test]
async fn arguments_and_input_arrive_as_they_are_and_secrets_stay_hidden() {
    const TEST: &str = "arguments_and_input_arrive_as_they_are";
    let Some(lab) = Lab::shared(TEST) else { return };
    let Some(sshd) = sshd(lab, TEST) else { return };
    let container = Container::start(lab, "shop_args", IMAGE, &["sleep", "infinity"]);
    let bench = Bench::at(&sshd, sshd.port()).await;
    let job = bench.app_job("shop", &[], false).await;
    let name = "shop/password".parse().unwrap();
    let policy = Policy::new(32, "alphanumeric").unwrap();
    let reference = job.perform(&EnsureSecret { name, policy }).await.unwrap();
    let kept = bench.outside.store.secret("server/web-1/secret/shop/password").await.unwrap();
    let vault = &bench.outside.vault;
    let value = vault.unseal("server/web-1/secret/shop/password", &kept.unwrap()).unwrap();
    let value = secrecy::ExposeSecret::expose_secret(&value).to_owned();

    let tricky = ["$(touch /x)", "`id`", "it's", "", "-n", "a\nb", ";&|<>\\", "${PATH}", "é"];
    let arguments = [&["printf", "%s\\0"][..], &tricky].concat();
    let output = job.perform(&run(&job, "args", &arguments, None)).await.unwrap();
    let read: Vec<&str> = output.stdout.trim_end_matches('\0').split('\0').collect();
    assert_eq!(read, tricky);

    let input = format!("it is {reference}\n");
    let script = "cat > /kept; ps -eo args > /seen; cat /kept; cat /kept >&2; exit 7";
    let output =
        job.perform(&run(&job, "args", &["sh", "-c", script], Some(&input))).await.unwrap();
    assert_eq!((output.exit_code, output.stdout.as_str()), (7, "it is •••\n"));
    assert_eq!(container.file("/kept"), format!("it is {value}\n"));
    for (place, text) in [
        ("the processes", container.file("/seen")),
        ("the answer", format!("{output:?}")),
        ("the journal", bench.told(&job.id()).await),
    ] {
        assert!(!text.contains(&value), "the password is in {place}");
    }
    let seen = run(&job, "args", &["echo", &reference], None);
    assert_eq!(job.perform(&seen).await.unwrap_err().code, "secret_exposed");
    let others = run(&job, "args", &["cat"], Some("${secret:web-1/postgres/password}"));
    assert_eq!(job.perform(&others).await.unwrap_err().code, "access_denied");
}

#[tokio::test]
async fn a_command_without_a_container_says_so_and_another_apps_stack_is_not_its_own() {
    let bench = Bench::simulated().await;
    let job = bench.app_job("shop", &[], false).await;
    let failure = job.perform(&run(&job, "web", &["true"], None)).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.retry_safe), ("not_running", true));
    assert!(failure.message.contains("shop_web"), "{}", failure.message);
    let other =
        RunInContainer { name: "bank".parse().unwrap(), ..run(&job, "web", &["true"], None) };
    let failure = job.perform(&other).await.unwrap_err();
    assert_eq!(failure.code, "access_denied", "{}", failure.message);
}
