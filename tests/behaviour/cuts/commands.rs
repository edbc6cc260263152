//! A command on a real server, with the way there cut or the host killed in the middle of a packet.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;
use tests::killable::KillableWorkshop;
use tests::proxy::{Proxy, Strike};
use tests::sshd::Sshd;
use tests::workshop::{Workshop, result};

use super::{is_struck_before, strikes};

/// What the command says: more than one packet.
const LINES: usize = 4_000;

/// Runs the command once, struck there. Answers how many bytes went to the server and back.
async fn run(sshd: &Sshd, strike: Option<Strike>) -> (u64, u64) {
    let proxy = Proxy::to(sshd.port()).await;
    let mut workshop = Workshop::open().await;
    workshop.add_machine("web-1", sshd).await;
    let (port, name) = (proxy.port(), "web-1".parse().unwrap());
    let change = workshop.store.update_server(&name, Box::new(move |it| it.ssh.port = port));
    change.await.unwrap().unwrap();
    workshop.stop().await;

    // A port may be given out twice, and then two runs would be counted as one.
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let number = RUNS.fetch_add(1, Ordering::Relaxed);
    let counter = sshd.folder().join(format!("counter-{number}"));
    let command = format!("echo x >> {}; seq 1 {LINES}", counter.display());
    let what = json!({ "command": command, "timeout_ms": 60_000 });
    proxy.arm(strike);
    let mut process = KillableWorkshop::start(workshop.home(), "web-1", "runs-a-command", &what);
    let job = process.job().await;
    if is_struck_before(&proxy, strike, process.ended()).await {
        process.kill().await;
        proxy.cut();
    }
    // Whoever comes next finds the job as it is, and goes on with it where nobody does any more.
    let workshop = workshop.restart().await;
    let said = result(&workshop.finished(&job).await)["said"].as_str().unwrap().to_owned();
    let expected: String = (1..=LINES).map(|line| format!("{line}\n")).collect();
    assert!(said == expected, "{strike:?}: {} bytes", said.len());
    assert_eq!(fs::read_to_string(&counter).unwrap(), "x\n", "{strike:?}: run once");
    proxy.carried()
}

#[tokio::test]
async fn a_command_is_run_once_whatever_byte_is_the_last_to_arrive() {
    let test = "a_command_is_run_once_whatever_byte_is_the_last_to_arrive";
    let Some(sshd) = Sshd::start(test) else { return };
    let carried = run(&sshd, None).await;
    for strike in strikes(6, 100, carried) {
        run(&sshd, Some(strike)).await;
    }
}
