//! What a command does, says and leaves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tests::sshd::Sshd;
use windlass::ssh::session::Session;
use windlass::ssh::{OUTPUT_LIMIT, Remote, SshError, Stream};

use super::{Lines, command, is_alive, receipt, run, session};

#[tokio::test]
async fn output_and_exit_code_come_back() {
    let Some(sshd) = Sshd::start("output_and_exit_code_come_back") else { return };
    let output = run(&sshd, command("echo out; echo err >&2; exit 7")).await.unwrap();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
    assert_eq!((output.exit_code, output.truncated), (7, false));
}

#[tokio::test]
async fn a_signal_is_128_and_its_number() {
    let Some(sshd) = Sshd::start("a_signal_is_128_and_its_number") else { return };
    assert_eq!(run(&sshd, command("kill -9 $$")).await.unwrap().exit_code, 137);
}

#[tokio::test]
async fn a_command_reads_its_stdin_and_leaves_no_copy_of_it() {
    let Some(sshd) = Sshd::start("a_command_reads_its_stdin_and_leaves_no_copy_of_it") else {
        return;
    };
    let content = vec![b'x'; 3_000_000];
    let mut counts =
        command("wc -c; ls /var/lib/windlass/receipts/$(basename ${WINDLASS_RECEIPT%.})");
    counts.stdin = Some(content);
    let output = run(&sshd, counts).await.unwrap();
    assert!(output.stdout.starts_with("3000000\n"), "{output:?}");
    assert!(!output.stdout.contains("stdin"), "{output:?}");
}

#[tokio::test]
async fn a_text_with_every_quote_is_run_as_it_is() {
    let Some(sshd) = Sshd::start("a_text_with_every_quote_is_run_as_it_is") else { return };
    let line = "printf '%s' 'a\"b`c$d\\e'; printf '%s\\n' \"'\" '$(touch /tmp/x)' # '; exit 9";
    let output = run(&sshd, command(line)).await.unwrap();
    assert_eq!(output.stdout, "a\"b`c$d\\e'\n$(touch /tmp/x)\n");
}

#[tokio::test]
async fn lines_arrive_while_the_command_runs() {
    let Some(sshd) = Sshd::start("lines_arrive_while_the_command_runs") else { return };
    let lines = Lines::new();
    let gate = sshd.folder().join("gate");
    let mut waits = command(&format!(
        "echo one; printf 'two\\033[2J\\tx\\r\\n' >&2; until [ -e {} ]; do sleep 0.01; done; printf three",
        gate.display()
    ));
    waits.lines = Some(lines.clone());
    let began = Instant::now();
    let (output, ()) = tokio::join!(run(&sshd, waits), async {
        lines.wait_for("one").await;
        lines.wait_for("two\\u{1b}[2J\tx").await;
        println!("first lines after {:?}", began.elapsed());
        std::fs::write(&gate, "").unwrap();
    });
    assert_eq!(output.unwrap().exit_code, 0);
    let taken = lines.taken.lock().unwrap().clone();
    assert!(taken.contains(&(Stream::Stdout, "three".to_owned(), 9)), "{taken:?}");
}

#[tokio::test]
async fn a_command_that_says_little_at_a_time_is_heard_to_its_end() {
    let Some(sshd) = Sshd::start("a_command_that_says_little_at_a_time") else { return };
    let talks = command("i=0; while [ $i -lt 200 ]; do echo $i; i=$((i + 1)); sleep 0.005; done");
    let output = run(&sshd, talks).await.unwrap();
    let said: String = (0..200).map(|n| format!("{n}\n")).collect();
    assert_eq!((output.exit_code, output.stdout), (0, said));
}

#[tokio::test]
async fn lines_that_were_taken_before_are_not_given_again() {
    let Some(sshd) = Sshd::start("lines_that_were_taken_before_are_not_given_again") else {
        return;
    };
    let lines = Arc::new(Lines { start: 4, ..Lines::default() });
    let mut says = command("echo one; echo two; echo three");
    says.lines = Some(lines.clone());
    assert_eq!(run(&sshd, says).await.unwrap().stdout, "one\ntwo\nthree\n");
    assert_eq!(lines.texts(), ["two", "three"]);
}

#[tokio::test]
async fn a_flood_is_cut_and_does_not_fill_the_disk() {
    let Some(sshd) = Sshd::start("a_flood_is_cut_and_does_not_fill_the_disk") else { return };
    let flood = command(
        "head -c 50000000 /dev/zero | tr '\\0' y; \
         du -sk /var/lib/windlass/receipts/${WINDLASS_RECEIPT%.} | cut -f1 >&2",
    );
    let output = run(&sshd, flood).await.unwrap();
    assert_eq!((output.stdout.len(), output.truncated), (OUTPUT_LIMIT, true));
    let kilobytes: u64 = output.stderr.trim().parse().unwrap();
    assert!(kilobytes < 2_000, "{kilobytes} KiB on the server");
}

#[tokio::test]
async fn a_command_that_runs_too_long_is_killed_with_all_its_children() {
    let Some(sshd) = Sshd::start("a_command_that_runs_too_long_is_killed_with_all_its_children")
    else {
        return;
    };
    let mut deaf = command(
        "echo before; setsid sleep 98765431 & (trap '' TERM; sleep 98765432; sleep 98765433) & \
         trap '' TERM; while :; do sleep 98765434; done",
    );
    deaf.timeout = Duration::from_millis(800);
    let Err(SshError::CommandTimeout { output, after }) = run(&sshd, deaf).await else {
        panic!("it was not stopped");
    };
    assert_eq!(output.stdout, "before\n");
    assert!(after < Duration::from_secs(30), "{after:?}");
    assert!(!is_alive("9876543"), "something survived");
}

#[tokio::test]
async fn a_cancelled_command_is_dead_and_its_receipt_says_so() {
    let Some(sshd) = Sshd::start("a_cancelled_command_is_dead_and_its_receipt_says_so") else {
        return;
    };
    let lines = Lines::new();
    let mut long = command("echo begun; sleep 87654321; echo never");
    long.lines = Some(lines.clone());
    let session = session(sshd.access());
    let again = windlass::ssh::Command { cancel: Default::default(), ..long.clone() };
    let cancel = long.cancel.clone();
    let (first, ()) = tokio::join!(session.exec(long), async {
        lines.wait_for("begun").await;
        cancel.cancel();
    });
    assert!(matches!(&first, Err(SshError::CommandCancelled { .. })), "{first:?}");
    assert!(!is_alive("87654321"));
    let second = session.exec(again.clone()).await;
    assert!(matches!(&second, Err(SshError::CommandCancelled { .. })), "{second:?}");
    session.forget(&[again.receipt]).await.unwrap();
}

#[tokio::test]
async fn a_command_that_was_cancelled_before_never_begins() {
    let Some(sshd) = Sshd::start("a_command_that_was_cancelled_before_never_begins") else {
        return;
    };
    let trace = sshd.folder().join("trace");
    let cancelled = command(&format!("touch {}", trace.display()));
    cancelled.cancel.cancel();
    let result = run(&sshd, cancelled).await;
    assert!(matches!(&result, Err(SshError::CommandCancelled { .. })), "{result:?}");
    assert!(!trace.exists());
}

#[tokio::test]
async fn a_daemon_left_behind_does_not_hold_the_command() {
    let Some(sshd) = Sshd::start("a_daemon_left_behind_does_not_hold_the_command") else { return };
    let began = Instant::now();
    let output = run(&sshd, command("sleep 20 & echo done; echo $!")).await.unwrap();
    assert!(output.stdout.starts_with("done\n"));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let daemon = output.stdout.lines().nth(1).unwrap();
    run(&sshd, command(&format!("kill {daemon}"))).await.unwrap();
}

#[tokio::test]
async fn a_short_command_is_quick() {
    let Some(sshd) = Sshd::start("a_short_command_is_quick") else { return };
    let session = Session::new(sshd.access()).unwrap();
    let mut times = Vec::new();
    let mut receipts = Vec::new();
    for _ in 0..20 {
        let next = command("true");
        receipts.push(next.receipt.clone());
        let began = Instant::now();
        session.exec(next).await.unwrap();
        times.push(began.elapsed());
    }
    session.forget(&receipts).await.unwrap();
    times.sort();
    println!("exec of `true`: median {:?}, fastest {:?}", times[10], times[0]);
    assert!(times[0] < Duration::from_millis(500), "{times:?}");
}

#[tokio::test]
async fn another_host_key_is_refused_and_nothing_is_sent() {
    let Some(sshd) = Sshd::start("another_host_key_is_refused_and_nothing_is_sent") else { return };
    let trace = sshd.folder().join("trace");
    let mut access = sshd.access();
    access.host_key_fingerprint = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned();
    let refused =
        session(access.clone()).exec(command(&format!("touch {}", trace.display()))).await;
    assert!(matches!(&refused, Err(SshError::HostKeyMismatch { .. })), "{refused:?}");
    let refused = session(access).wait_ready(Duration::from_secs(60), &|_| {}).await;
    assert!(matches!(&refused, Err(SshError::HostKeyMismatch { .. })), "{refused:?}");
    assert!(!trace.exists());
}

#[tokio::test]
async fn a_server_that_does_not_know_the_key_says_so() {
    let Some(sshd) = Sshd::start("a_server_that_does_not_know_the_key_says_so") else { return };
    let mut access = sshd.access();
    access.key = windlass::ssh::keys::KeyPair::generate().unwrap().private_pem().unwrap();
    let refused = session(access).exec(command("true")).await;
    assert!(matches!(&refused, Err(SshError::LoginRefused { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_booting_server_is_waited_for_and_then_named() {
    let Some(sshd) = Sshd::start("a_booting_server_is_waited_for_and_then_named") else { return };
    session(sshd.access()).wait_ready(Duration::from_secs(30), &|_| {}).await.unwrap();
    let access = sshd.access();
    drop(sshd);
    let error = session(access).wait_ready(Duration::from_millis(500), &|_| {}).await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn forgetting_removes_receipts_and_what_comes_later_is_refused() {
    let Some(sshd) = Sshd::start("forgetting_removes_receipts") else { return };
    let session = session(sshd.access());
    let (counter, receipt) = (sshd.folder().join("counter"), receipt());
    let mut counts = command(&format!("echo x >> {}", counter.display()));
    counts.receipt = receipt.clone();
    session.exec(counts.clone()).await.unwrap();
    session.exec(counts.clone()).await.unwrap();
    assert_eq!(std::fs::read_to_string(&counter).unwrap(), "x\n");
    session.release(std::slice::from_ref(&receipt)).await.unwrap();
    session.exec(counts.clone()).await.unwrap();
    assert_eq!(std::fs::read_to_string(&counter).unwrap(), "x\nx\n");
    session.forget(&[receipt]).await.unwrap();
    let late = session.exec(counts).await;
    assert!(matches!(&late, Err(SshError::Refused { .. })), "{late:?}");
    assert_eq!(std::fs::read_to_string(&counter).unwrap(), "x\nx\n", "it came too late");
}
