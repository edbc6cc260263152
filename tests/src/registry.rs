//! A real OCI registry on a loopback port: Debian's `docker-registry`, with a store of its own.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Who may use one that asks.
pub const USER: &str = "ana";
/// Her password.
pub const PASSWORD: &str = "correct horse";
/// What the registry has of it: bcrypt, of little cost.
const KEPT: &str = "ana:$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n";

/// A running registry; it ends with this value.
pub struct Registry {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl Registry {
    /// One that takes everything from everybody. None, and a line that says so, where it is not
    /// installed.
    pub fn start(test: &str) -> Option<Self> {
        Self::start_with(test, false)
    }

    /// One that asks who is there.
    pub fn start_locked(test: &str) -> Option<Self> {
        Self::start_with(test, true)
    }

    fn start_with(test: &str, asks: bool) -> Option<Self> {
        let is_there = Command::new("docker-registry").arg("--version").output().is_ok();
        if !is_there {
            crate::lab::skip(test, "docker-registry is not installed");
            return None;
        }
        let folder = TempDir::new().unwrap();
        let at = folder.path().display();
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut config = format!(
            "version: 0.1\nlog: {{ level: warn }}\n\
             storage: {{ filesystem: {{ rootdirectory: \"{at}/store\" }} }}\n\
             http: {{ addr: \"127.0.0.1:{port}\", secret: \"of this test\" }}\n"
        );
        if asks {
            fs::write(folder.path().join("users"), KEPT).unwrap();
            config += &format!("auth: {{ htpasswd: {{ realm: tests, path: \"{at}/users\" }} }}\n");
        }
        let path = folder.path().join("config.yml");
        fs::write(&path, config).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let registry = Self { process, port, folder };
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < until, "the registry does not listen: {}", registry.log());
            std::thread::yield_now();
        }
        Some(registry)
    }

    /// Its name in references.
    pub fn name(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A reference to something in it.
    pub fn reference(&self, rest: &str) -> String {
        format!("oci://{}/{rest}", self.name())
    }

    /// A manifest as it has it.
    pub async fn manifest(&self, repository: &str, tag: &str) -> Value {
        let url = format!("http://{}/v2/{repository}/manifests/{tag}", self.name());
        let accept = "application/vnd.oci.image.manifest.v1+json";
        let answer = reqwest::Client::new().get(url).header("Accept", accept).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", self.log());
        answer.json().await.unwrap()
    }

    /// A blob as it has it.
    pub async fn blob(&self, repository: &str, digest: &str) -> Vec<u8> {
        let url = format!("http://{}/v2/{repository}/blobs/{digest}", self.name());
        reqwest::get(url).await.unwrap().bytes().await.unwrap().to_vec()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().unwrap_or_default();
        self.process.wait().map(drop).unwrap_or_default();
    }
}
