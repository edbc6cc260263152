//! A start that is held up on its way, at a step that the test chooses: by a program of the server
//! that waits for the test, the first time it is called.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::sshd::Sshd;
use tokio::time::Instant;
use windlass::ssh::session::Session;
use windlass::ssh::{Command, Remote, SshError};

use super::{command, session};

/// How long a test waits for something before it says that it never came.
const PATIENCE: Duration = Duration::from_secs(120);

/// An sshd whose commands find one program that the test holds up.
struct Held {
    sshd: Sshd,
    _programs: tempfile::TempDir,
    folder: PathBuf,
}

impl Held {
    /// The first call of this program waits for [`Held::let_go`].
    fn at(program: &str, test: &str) -> Option<Self> {
        let programs = tempfile::tempdir().unwrap();
        let folder = programs.path().to_owned();
        let here = folder.display();
        let real = ["/usr/bin", "/bin"].iter().map(|bin| Path::new(bin).join(program));
        let real = real.into_iter().find(|path| path.exists()).unwrap();
        let stub = format!(
            "#!/bin/sh\n\
             if mv '{here}/armed' '{here}/held' 2>/dev/null; then\n\
             until [ -e '{here}/gate' ]; do sleep 0.02; done\n\
             fi\n\
             exec {} \"$@\"\n",
            real.display()
        );
        let path = folder.join(program);
        fs::write(&path, stub).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.join("armed"), "").unwrap();
        let environment = format!("PATH={here}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
        let sshd = Sshd::start_with(test, &environment)?;
        Some(Self { sshd, _programs: programs, folder })
    }

    fn session(&self) -> Session {
        session(self.sshd.access())
    }

    /// A command that leaves a line for each time that it is run.
    fn command(&self) -> Command {
        command(&format!("echo x >> {}; echo ran", self.folder.join("counter").display()))
    }

    /// Where the server keeps what is known of a command.
    fn receipt(&self, command: &Command) -> PathBuf {
        let of_root = Path::new("/var/lib/windlass/receipts");
        let is_root = rustix::process::getuid().is_root();
        let of_others = self.sshd.folder().join(".windlass/receipts");
        let all = if is_root { of_root } else { &of_others };
        all.join(command.receipt.to_string())
    }

    fn counter(&self) -> String {
        fs::read_to_string(self.folder.join("counter")).unwrap_or_default()
    }

    /// Waits until somebody is held up.
    async fn holds(&self) {
        until(|| self.folder.join("held").exists(), "nobody came to the step").await;
    }

    fn let_go(&self) {
        fs::write(self.folder.join("gate"), "").unwrap();
    }

    /// Waits until nothing that this sshd started is alive any more: what has not been done by then
    /// is never done.
    async fn quiet(&self) {
        let mark = format!("PATH={}:", self.folder.display());
        let is_marked = |path: PathBuf| {
            let environment = fs::read(path.join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|it| it.starts_with(mark.as_bytes()))
        };
        let processes = || fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        until(|| !processes().any(is_marked), "something of it is still alive").await;
    }
}

async fn until(is_so: impl Fn() -> bool, otherwise: &str) {
    let end = Instant::now() + PATIENCE;
    let mut pause = tokio::time::interval(Duration::from_millis(10));
    while !is_so() {
        assert!(Instant::now() < end, "{otherwise}");
        pause.tick().await;
    }
}

/// A command that was sent by a host which died while the start was held up.
async fn sent_by_a_dead_host(held: &Held) -> Command {
    let command = held.command();
    let first = held.session();
    tokio::select! {
        output = first.exec(command.clone()) => panic!("it is held up: {output:?}"),
        () = held.holds() => {}
    }
    command
}

#[tokio::test]
async fn what_is_said_to_have_never_begun_never_begins() {
    // The receipt is there, and the start has not been taken.
    let Some(held) = Held::at("mkfifo", "what never begins") else { return };
    let command = sent_by_a_dead_host(&held).await;
    let second = held.session();
    let given_up = second.exec(command.clone()).await;
    assert!(matches!(&given_up, Err(SshError::CommandInterrupted { .. })), "{given_up:?}");
    held.let_go();
    held.quiet().await;
    assert_eq!(held.counter(), "", "it was said that it did not begin");
    let asked_again = second.exec(command.clone()).await;
    assert!(matches!(&asked_again, Err(SshError::CommandInterrupted { .. })), "{asked_again:?}");
    second.forget(&[command.receipt]).await.unwrap();
    assert_eq!(held.counter(), "");
}

#[tokio::test]
async fn a_start_that_is_slow_is_waited_for_and_run_once() {
    let Some(held) = Held::at("mkfifo", "a slow start") else { return };
    let command = sent_by_a_dead_host(&held).await;
    let second = held.session();
    held.let_go();
    let output = second.exec(command.clone()).await.unwrap();
    assert_eq!((output.stdout.as_str(), held.counter().as_str()), ("ran\n", "x\n"));
    held.quiet().await;
    second.forget(&[command.receipt]).await.unwrap();
    assert_eq!(held.counter(), "x\n");
}

/// A command that is stopped while its start is held up, and let go once its receipt shows this
/// file, does not run: not then, nor when somebody asks for it again.
async fn a_stop_prevents_it(held: &Held, sign: &str) {
    let (command, session) = (held.command(), held.session());
    let again = Command { cancel: Default::default(), ..command.clone() };
    let cancel = command.cancel.clone();
    let receipt = held.receipt(&command);
    let (first, ()) = tokio::join!(session.exec(command), async {
        held.holds().await;
        cancel.cancel();
        until(|| receipt.join(sign).exists(), "the stop leaves no sign").await;
        held.let_go();
    });
    assert!(matches!(&first, Err(SshError::CommandCancelled { .. })), "{first:?}");
    held.quiet().await;
    assert_eq!(held.counter(), "", "it was stopped before it began");
    let second = session.exec(again.clone()).await;
    assert!(matches!(&second, Err(SshError::CommandCancelled { .. })), "{second:?}");
    session.forget(&[again.receipt]).await.unwrap();
    assert_eq!(held.counter(), "");
}

#[tokio::test]
async fn a_stop_between_the_receipt_and_the_start_prevents_it() {
    let Some(held) = Held::at("mkfifo", "a stop before the start") else { return };
    // The stop has to take the start itself, or that could come first when it is let go.
    a_stop_prevents_it(&held, "going").await;
}

#[tokio::test]
async fn a_stop_between_the_start_and_the_first_process_prevents_it() {
    // The start is taken, and nothing is there yet that could be killed.
    let Some(held) = Held::at("setsid", "a stop while it starts") else { return };
    a_stop_prevents_it(&held, "stopped").await;
}

#[tokio::test]
async fn a_start_that_comes_after_its_receipt_was_forgotten_starts_nothing() {
    // It is on its way: not even the receipt is there.
    let Some(held) = Held::at("mkdir", "a start after the end") else { return };
    let command = sent_by_a_dead_host(&held).await;
    assert!(!held.receipt(&command).exists());
    let second = held.session();
    let output = second.exec(command.clone()).await.unwrap();
    assert_eq!((output.stdout.as_str(), held.counter().as_str()), ("ran\n", "x\n"));
    second.forget(&[command.receipt]).await.unwrap();
    held.let_go();
    held.quiet().await;
    assert_eq!(held.counter(), "x\n", "it came too late");
}
