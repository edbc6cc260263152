//! A real sshd on a loopback port, with keys of its own. Its commands run on this very machine.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use secrecy::ExposeSecret;
use tempfile::TempDir;
use windlass::ssh::connection::Access;
use windlass::ssh::keys::KeyPair;

/// The usual place of OpenSSH's server; it insists on being started by its whole path.
const SSHD: &str = "/usr/sbin/sshd";

/// A running sshd; it ends with this value.
pub struct Sshd {
    process: Child,
    port: u16,
    login: KeyPair,
    host: KeyPair,
    user: String,
    folder: TempDir,
}

impl Sshd {
    /// Whether this machine has one at all.
    pub fn is_installed() -> bool {
        Path::new(SSHD).exists()
    }

    /// Starts one. None, and a line that says so, where there is no sshd or this user may not.
    pub fn start(test: &str) -> Option<Self> {
        Self::start_with(test, "")
    }

    /// The same, whose commands have these variables in their environment, as `A=b C=d`.
    pub fn start_with(test: &str, environment: &str) -> Option<Self> {
        if !Self::is_installed() {
            crate::lab::skip(test, "sshd is not installed");
            return None;
        }
        let (login, host) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let folder = TempDir::new().unwrap();
        let host_key = host.private_pem().unwrap();
        secret(&folder, "host_key", host_key.expose_secret());
        secret(&folder, "authorized_keys", &format!("{}\n", login.public_line()));
        let (process, port) = spawn(&folder, environment);
        let whoami = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(whoami).unwrap().trim().to_owned();
        wait(&folder, port);
        Some(Self { process, port, login, host, user, folder })
    }

    /// Where it listens.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// How to get in.
    pub fn access(&self) -> Access {
        Access {
            user: self.user.clone(),
            address: "127.0.0.1".to_owned(),
            port: self.port,
            key: self.login.private_pem().unwrap(),
            host_key_fingerprint: self.host.fingerprint(),
        }
    }

    /// A folder that ends with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// An sshd that a machine's first boot starts: with the host key that it is told, for whoever has
/// the login key that it is told. It ends with this value.
pub struct BootedSshd {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl BootedSshd {
    /// Starts one with the keys that are in what its machine was told for its first boot.
    pub fn start(user_data: &str) -> anyhow::Result<Self> {
        let value = |before: &str| -> anyhow::Result<String> {
            let line = user_data.lines().find_map(|line| line.strip_prefix(before));
            Ok(serde_json::from_str(line.with_context(|| format!("no `{before}`"))?)?)
        };
        let folder = TempDir::new()?;
        secret(&folder, "host_key", &value("  ed25519_private: ")?);
        secret(&folder, "authorized_keys", &format!("{}\n", value("  - ")?));
        let (process, port) = spawn(&folder, "");
        wait(&folder, port);
        Ok(Self { process, port, folder })
    }

    /// Where it listens on loopback.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Home of whoever logs in; it ends with the server.
    pub fn home(&self) -> &Path {
        self.folder.path()
    }

    /// Kills it and starts it again, at another port.
    pub fn restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        (self.process, self.port) = spawn(&self.folder, "");
        wait(&self.folder, self.port);
    }
}

impl Drop for BootedSshd {
    fn drop(&mut self) {
        self.process.kill().unwrap_or_default();
        self.process.wait().map(drop).unwrap_or_default();
    }
}

fn secret(folder: &TempDir, name: &str, text: &str) {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Starts the server on a free port of loopback with the keys that are in this folder.
fn spawn(folder: &TempDir, environment: &str) -> (Child, u16) {
    fs::create_dir_all("/run/sshd").unwrap_or_default();
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let at = folder.path().display();
    let config = format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {at}/host_key\nPidFile none\n\
         AuthorizedKeysFile {at}/authorized_keys\nStrictModes no\nUsePAM no\n\
         PermitRootLogin prohibit-password\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nMaxStartups 100\n\
         SetEnv HOME={at} {environment}\n"
    );
    fs::write(folder.path().join("config"), config).unwrap();
    let process = Command::new(SSHD)
        .args(["-D", "-f"])
        .arg(folder.path().join("config"))
        .arg("-E")
        .arg(folder.path().join("log"))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    (process, port)
}

fn wait(folder: &TempDir, port: u16) {
    let until = Instant::now() + Duration::from_secs(60);
    while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        assert!(Instant::now() < until, "sshd does not listen: {log}");
        std::thread::yield_now();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.process.kill().unwrap_or_default();
        self.process.wait().map(drop).unwrap_or_default();
    }
}
