//! The sandbox behaves as a real cloud would: machines outlive the host, identity finds them, a
//! command is run once, and what is not there is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use windlass::model::names::{Identity, JobId, ProviderKind};
use windlass::model::server::{Protection, Server, ServerStatus, SshAccess};
use windlass::providers::sandbox::{Pace, Sandbox};
use windlass::providers::{
    Boot, Machine, MachineStatus, NewMachine, Provider, ProviderError, PublicKey,
};
use windlass::ssh::{Command, LineSink, Output, Remote, SshError, Stream};

struct Cloud {
    folder: TempDir,
    pace: Pace,
}

impl Cloud {
    fn new(pace: Pace) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), pace }
    }

    /// The cloud as a host sees it that was just started.
    fn sandbox(&self) -> Sandbox {
        Sandbox::new(self.folder.path().join("sandbox"), self.pace)
    }

    async fn machine(&self, name: &str) -> Machine {
        self.sandbox().create_server(&order(name, 1)).await.unwrap()
    }

    async fn remote(&self) -> Arc<dyn Remote> {
        let machine = self.machine("web").await;
        self.sandbox().remote(&server("web", Some(machine.id)))
    }
}

fn identity(effect: u32) -> Identity {
    let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    Identity { job: JobId::new(now, 0xabc), effect }
}

fn order(name: &str, effect: u32) -> NewMachine {
    NewMachine {
        name: name.parse().unwrap(),
        identity: identity(effect),
        server_type: "cx23".to_owned(),
        region: "nbg1".to_owned(),
        image: "debian-12".to_owned(),
        ssh_keys: Vec::new(),
        boot: Boot {
            authorized_key: "ssh-ed25519 AAAA".to_owned(),
            host_key: "not looked at".to_owned().into(),
            host_key_public: "ssh-ed25519 BBBB".to_owned(),
        },
    }
}

fn server(name: &str, provider_id: Option<String>) -> Server {
    Server {
        name: name.parse().unwrap(),
        provider: ProviderKind::Sandbox,
        provider_id,
        server_type: "cx23".to_owned(),
        region: "nbg1".to_owned(),
        image: "debian-12".to_owned(),
        ipv4: None,
        ipv6: None,
        status: ServerStatus::Running,
        created_at: "2026-11-22T12:00:00Z".parse().unwrap(),
        ssh: SshAccess::default(),
        setup: BTreeMap::new(),
        dns: BTreeMap::new(),
        apps: Vec::new(),
        deletion_protection: Protection::default(),
        protected: false,
        simulated: true,
    }
}

fn command(receipt: u32, line: &str) -> Command {
    Command {
        receipt: identity(receipt),
        line: line.to_owned(),
        stdin: None,
        timeout: Duration::from_secs(60),
        cancel: CancellationToken::new(),
        lines: None,
    }
}

async fn said(remote: &dyn Remote, line: &str) -> (i32, String, String) {
    let receipt =
        line.bytes().fold(7, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let Output { exit_code, stdout, stderr, .. } =
        remote.exec(command(receipt, line)).await.unwrap();
    (exit_code, stdout, stderr)
}

#[tokio::test]
async fn a_machine_ordered_before_a_crash_is_found_by_its_identity() {
    let cloud = Cloud::new(Pace::Realistic);
    let machine = order("web", 1);
    let sandbox = cloud.sandbox();
    // The host dies after the order was taken and before it heard of it.
    let until_it_is_there = async {
        while sandbox.find_server(&identity(1), &order("web", 1).name).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = sandbox.create_server(&machine) => panic!("the host was to die before the answer"),
        () = until_it_is_there => {}
    }
    let found =
        cloud.sandbox().find_server(&identity(1), &order("web", 1).name).await.unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.status), ("web", MachineStatus::Booting));
    assert_eq!(found.labels.get("windlass-effect").unwrap(), "1");
    assert!(
        cloud.sandbox().find_server(&identity(2), &order("web", 2).name).await.unwrap().is_none()
    );
}

#[tokio::test]
async fn the_same_order_twice_is_one_machine_and_a_taken_name_a_conflict() {
    let cloud = Cloud::new(Pace::Instant);
    let first = cloud.machine("web").await;
    assert_eq!(cloud.machine("web").await, first);
    let refused = cloud.sandbox().create_server(&order("web", 2)).await;
    assert!(matches!(refused, Err(ProviderError::Conflict { .. })), "{refused:?}");
    assert!(
        cloud.sandbox().find_server(&identity(2), &order("web", 2).name).await.unwrap().is_none()
    );
}

#[tokio::test]
async fn what_is_not_on_offer_is_refused_by_name() {
    let cloud = Cloud::new(Pace::Instant);
    let wanted = [
        (NewMachine { server_type: "cx999".to_owned(), ..order("a", 1) }, "no server type `cx999`"),
        (NewMachine { region: "mars".to_owned(), ..order("a", 1) }, "no location `mars`"),
        (NewMachine { image: "dos".to_owned(), ..order("a", 1) }, "no image `dos`"),
        (NewMachine { ssh_keys: vec!["k".to_owned()], ..order("a", 1) }, "the id `k`"),
        (
            NewMachine {
                server_type: "cax11".to_owned(),
                region: "ash".to_owned(),
                ..order("a", 1)
            },
            "no `cax11` in `ash`",
        ),
    ];
    for (wanted, reason) in wanted {
        let refused = cloud.sandbox().create_server(&wanted).await.unwrap_err();
        assert!(refused.to_string().contains(reason), "{refused}");
    }
}

#[tokio::test]
async fn keys_are_reused_and_nobody_elses_is_taken() {
    let sandbox = Cloud::new(Pace::Instant);
    let sandbox = sandbox.sandbox();
    let key = |line: &str| PublicKey {
        name: "web".to_owned(),
        line: line.to_owned(),
        labels: BTreeMap::new(),
    };
    let first = sandbox.ensure_ssh_key(&key("ssh-ed25519 AAAA")).await.unwrap();
    assert_eq!(sandbox.ensure_ssh_key(&key("ssh-ed25519 AAAA")).await.unwrap(), first);
    let other = sandbox.ensure_ssh_key(&key("ssh-ed25519 CCCC")).await.unwrap();
    assert_eq!((first.name.as_str(), other.name.as_str()), ("web", "web-2"));
    for _ in 0..2 {
        sandbox.delete_ssh_key(&first.id).await.unwrap();
    }
    let ssh_keys = vec![other.id];
    sandbox.create_server(&NewMachine { ssh_keys, ..order("web", 1) }).await.unwrap();
}

#[tokio::test]
async fn a_deleted_machine_is_gone_with_all_that_was_on_it() {
    let cloud = Cloud::new(Pace::Instant);
    let machine = cloud.machine("web").await;
    let remote = cloud.sandbox().remote(&server("web", Some(machine.id.clone())));
    remote.upload("/root/a", b"x", 0o600).await.unwrap();
    for _ in 0..2 {
        cloud.sandbox().delete_server(&machine.id).await.unwrap();
    }
    assert!(cloud.sandbox().server(&machine.id).await.unwrap().is_none());
    let refused = remote.exec(command(1, "true")).await;
    assert!(matches!(refused, Err(SshError::Unreachable { .. })), "{refused:?}");
    let again = cloud.machine("web").await;
    let remote = cloud.sandbox().remote(&server("web", Some(again.id)));
    assert_eq!(said(&*remote, "ls").await.1, "");
}

#[tokio::test]
async fn a_machine_boots_before_it_takes_commands() {
    let cloud = Cloud::new(Pace::Realistic);
    let machine = cloud.machine("web").await;
    assert_eq!(machine.status, MachineStatus::Booting);
    let remote = cloud.sandbox().remote(&server("web", Some(machine.id.clone())));
    let refused = remote.exec(command(1, "true")).await;
    assert!(matches!(refused, Err(SshError::Unreachable { .. })), "{refused:?}");
    let refused = remote.wait_ready(Duration::from_millis(1), &|_| {}).await;
    assert!(matches!(refused, Err(SshError::NotReady { .. })), "{refused:?}");
    let (sandbox, timeout) = (cloud.sandbox(), Duration::from_millis(1));
    let refused = sandbox.wait_running(&machine.id, &machine.actions, timeout).await;
    assert!(matches!(refused, Err(ProviderError::Timeout { .. })), "{refused:?}");
}

#[tokio::test]
async fn the_shell_is_small_and_honest() {
    let cloud = Cloud::new(Pace::Instant);
    let remote = cloud.remote().await;
    let uname = "Linux web 6.1.0-sandbox #1 SMP Windlass sandbox x86_64 GNU/Linux\n";
    for (line, exit_code, stdout, stderr) in [
        ("uname -a", 0, uname, ""),
        ("false; echo $?", 0, "1\n", ""),
        ("true && echo yes || echo no", 0, "yes\n", ""),
        ("false && echo yes || echo no", 0, "no\n", ""),
        ("echo 'a  b' \"c $HOME\" d\\ e", 0, "a  b c /root d e\n", ""),
        ("exit 3; echo never", 3, "", ""),
        ("sh -c 'echo in; exit 4'; echo $?", 0, "in\n4\n", ""),
        ("printf '%s-%s\\n' a b c d", 0, "a-b\nc-d\n", ""),
        ("hostname; whoami; pwd; nproc; id -u", 0, "web\nroot\n/root\n2\n0\n", ""),
        ("ls /nowhere", 2, "", "ls: cannot access '/nowhere': No such file or directory\n"),
        ("ls /nowhere >/dev/null 2>&1", 2, "", ""),
        ("nonsense 2>&1 > /dev/null", 127, "sh: 1: nonsense: not found\n", ""),
        ("apt-get update", 127, "", "sh: 1: apt-get: not found\n"),
        ("mkdir -p /srv/a/b && test -d /srv/a && ls /srv/a", 0, "b\n", ""),
        ("test -f /etc/os-release && [ ! -e /x ] && echo ok # no", 0, "ok\n", ""),
        ("date -u +%Z", 0, "UTC\n", ""),
        ("", 0, "", ""),
        ("echo 'open", 2, "", "sh: 1: Syntax error: Unterminated quoted string\n"),
        ("ls | wc", 2, "", "sh: 1: Syntax error: the sandbox's shell has no `|`\n"),
        ("echo $(id)", 2, "", "sh: 1: Syntax error: the sandbox's shell has no `$(`\n"),
        ("true &&", 2, "", "sh: 1: Syntax error: command expected\n"),
    ] {
        let wanted = (exit_code, stdout.to_owned(), stderr.to_owned());
        assert_eq!(said(&*remote, line).await, wanted, "{line}");
    }
}

#[tokio::test]
async fn a_receipt_is_run_once_and_its_output_kept() {
    let cloud = Cloud::new(Pace::Instant);
    let remote = cloud.remote().await;
    let first = remote.exec(command(5, "echo once; exit 7")).await.unwrap();
    assert_eq!((first.exit_code, first.stdout.as_str()), (7, "once\n"));
    let again = remote.exec(command(5, "echo twice")).await.unwrap();
    assert_eq!(again, first);
    remote.forget(&[identity(5), identity(6)]).await.unwrap();
    assert_eq!(remote.exec(command(5, "echo twice")).await.unwrap().stdout, "twice\n");
}

#[tokio::test]
async fn a_command_is_stopped_by_its_timeout_and_by_cancel() {
    let cloud = Cloud::new(Pace::Instant);
    let remote = cloud.remote().await;
    let long = |receipt| Command {
        timeout: Duration::from_secs(2),
        ..command(receipt, "echo begun; sleep 100; echo never")
    };
    for _ in 0..2 {
        match remote.exec(long(1)).await {
            Err(SshError::CommandTimeout { output, .. }) => assert_eq!(output.stdout, "begun\n"),
            other => panic!("{other:?}"),
        }
    }
    let cancelled = long(2);
    cancelled.cancel.cancel();
    let stopped = remote.exec(cancelled).await;
    assert!(matches!(stopped, Err(SshError::CommandCancelled { .. })), "{stopped:?}");
}

#[tokio::test]
async fn files_are_kept_by_path_and_no_path_leads_out() {
    let cloud = Cloud::new(Pace::Instant);
    let remote = cloud.remote().await;
    let path = "/root/../../../../etc/motd";
    remote.upload(path, b"hello\n", 0o644).await.unwrap();
    assert_eq!(remote.download("/etc/motd", 100).await.unwrap(), b"hello\n");
    assert_eq!(said(&*remote, "cat /etc/motd /etc/hostname").await.1, "hello\nweb\n");
    let refused = remote.download("/etc/motd", 3).await;
    assert!(matches!(refused, Err(SshError::TooLarge { .. })), "{refused:?}");
    for refused in [
        remote.upload("/no/such/folder/x", b"", 0o600).await.err(),
        remote.upload("/etc", b"", 0o600).await.err(),
        remote.download("/etc/passwd", 100).await.err(),
    ] {
        assert!(matches!(refused, Some(SshError::Refused { .. })), "{refused:?}");
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<(Stream, String, u64)>>);

impl LineSink for Heard {
    fn line(&self, stream: Stream, line: &str, offset: u64) {
        self.0.lock().unwrap().push((stream, line.to_owned(), offset));
    }

    fn start(&self, stream: Stream) -> u64 {
        if stream == Stream::Stdout { 2 } else { 0 }
    }
}

#[tokio::test]
async fn lines_are_told_with_their_offsets_and_not_again() {
    let cloud = Cloud::new(Pace::Instant);
    let remote = cloud.remote().await;
    let heard = Arc::new(Heard::default());
    let lines: Arc<dyn LineSink> = heard.clone();
    let line = "echo a; echo -n b; echo c; nonsense; echo -n d";
    remote.exec(Command { lines: Some(lines), ..command(1, line) }).await.unwrap();
    let wanted = [
        (Stream::Stdout, "bc".to_owned(), 5),
        (Stream::Stderr, "sh: 1: nonsense: not found".to_owned(), 27),
        (Stream::Stdout, "d".to_owned(), 6),
    ];
    assert_eq!(*heard.0.lock().unwrap(), wanted);
}
