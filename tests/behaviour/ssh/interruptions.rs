//! What becomes of a command when the connection, the host or the server dies.

use std::time::Duration;

use tests::proxy::Proxy;
use tests::sshd::Sshd;
use windlass::ssh::{Remote, SshError};

use super::{Lines, command, session};

#[tokio::test]
async fn a_cut_connection_neither_stops_nor_repeats_a_command() {
    let Some(sshd) = Sshd::start("a_cut_connection_neither_stops_nor_repeats_a_command") else {
        return;
    };
    let proxy = Proxy::to(sshd.port()).await;
    let session =
        session(windlass::ssh::connection::Access { port: proxy.port(), ..sshd.access() });
    let (gate, counter) = (sshd.folder().join("gate"), sshd.folder().join("counter"));
    let lines = Lines::new();
    let mut counts = command(&format!(
        "echo x >> {}; echo first; until [ -e {} ]; do sleep 0.01; done; seq 1 20000; echo last",
        counter.display(),
        gate.display()
    ));
    counts.lines = Some(lines.clone());
    let receipt = counts.receipt.clone();
    let (output, ()) = tokio::join!(session.exec(counts), async {
        lines.wait_for("first").await;
        proxy.close();
        std::fs::write(&gate, "").unwrap();
        proxy.cut();
    });
    let expected: String = (1..=20000).map(|number| format!("{number}\n")).collect();
    assert_eq!(output.unwrap().stdout, format!("first\n{expected}last\n"));
    assert_eq!(lines.texts().len(), 20002);
    assert_eq!(std::fs::read_to_string(&counter).unwrap(), "x\n");
    assert!(proxy.connections() >= 2);
    session.forget(&[receipt]).await.unwrap();
}

#[tokio::test]
async fn a_host_that_died_finds_its_command_again() {
    let Some(sshd) = Sshd::start("a_host_that_died_finds_its_command_again") else { return };
    let (gate, counter) = (sshd.folder().join("gate"), sshd.folder().join("counter"));
    let lines = Lines::new();
    let mut counts = command(&format!(
        "cat; echo x >> {}; until [ -e {} ]; do sleep 0.01; done; echo last",
        counter.display(),
        gate.display()
    ));
    counts.stdin = Some(b"first\n".to_vec());
    counts.lines = Some(lines.clone());
    let first = session(sshd.access());
    tokio::select! {
        output = first.exec(counts.clone()) => panic!("it cannot end yet: {output:?}"),
        () = lines.wait_for("first") => {}
    }
    drop(first);
    let second = session(sshd.access());
    std::fs::write(&gate, "").unwrap();
    let output = second.exec(counts.clone()).await.unwrap();
    assert_eq!(output.stdout, "first\nlast\n");
    assert_eq!(std::fs::read_to_string(&counter).unwrap(), "x\n");
    second.forget(&[counts.receipt]).await.unwrap();
}

#[tokio::test]
async fn a_command_whose_watcher_was_killed_is_interrupted() {
    let Some(sshd) = Sshd::start("a_command_whose_watcher_was_killed_is_interrupted") else {
        return;
    };
    let session = session(sshd.access());
    let suicide = command("echo before; kill -9 $PPID; sleep 0.1; exit 0");
    let receipt = suicide.receipt.clone();
    let result = session.exec(suicide).await;
    let Err(SshError::CommandInterrupted { output, .. }) = result else { panic!("{result:?}") };
    assert_eq!(output.stdout, "before\n");
    session.forget(&[receipt]).await.unwrap();
}

#[tokio::test]
async fn a_command_on_a_server_that_stays_away_is_out_of_sight_and_not_called_stopped() {
    let Some(sshd) = Sshd::start("a_server_that_stays_away_is_unreachable") else { return };
    let proxy = Proxy::to(sshd.port()).await;
    let session =
        session(windlass::ssh::connection::Access { port: proxy.port(), ..sshd.access() });
    let lines = Lines::new();
    let mut long = command("echo begun; sleep 5");
    long.lines = Some(lines.clone());
    long.timeout = Duration::from_secs(3);
    let receipt = long.receipt.clone();
    let (result, ()) = tokio::join!(session.exec(long), async {
        lines.wait_for("begun").await;
        proxy.close();
    });
    assert!(matches!(&result, Err(SshError::CommandOutOfSight { .. })), "{result:?}");
    proxy.cut();
    session.forget(&[receipt]).await.unwrap();
}
