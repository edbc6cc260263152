//! A Hetzner Cloud of our own: what `api.hetzner.cloud` answers, on a loopback port, with mishaps
//! on demand and, where wanted, real machines behind its servers.

mod answers;
mod catalogue;
mod front;
mod keys;
mod labels;
mod project;
mod servers;
mod views;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use self::project::Project;
use crate::fake_cloud::Reception;
pub use crate::fake_cloud::{Fault, Harm, Machines, Nowhere, Pace};
use crate::host_process::{self, TestHost};

/// What the fake is like.
#[derive(Clone)]
pub struct Options {
    /// The token that may do everything.
    pub token: String,
    /// How long actions go on.
    pub pace: Pace,
    /// How many servers the project may have.
    pub server_limit: usize,
    /// How many requests there may be in all before 429 is the answer.
    pub rate_limit: usize,
    /// System images on top of the usual ones, for lists that have several pages.
    pub extra_images: usize,
    /// What stands behind the servers.
    pub machines: Arc<dyn Machines>,
    /// The port to listen at; a free one unless told.
    pub port: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            token: "fake-hetzner-token-that-may-read-and-write-0000000000000000000000".to_owned(),
            pace: Pace::Looks(1),
            server_limit: 100,
            rate_limit: 3600,
            extra_images: 0,
            machines: Arc::new(Nowhere::default()),
            port: 0,
        }
    }
}

/// A server as the fake knows it.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its id.
    pub id: u64,
    /// Its name, unique in the project.
    pub name: String,
    /// What the API calls its status.
    pub status: &'static str,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its address.
    pub ipv4: Ipv4Addr,
    /// The name of its type.
    pub server_type: String,
    /// The name of its place.
    pub location: String,
    /// The name of its image.
    pub image: String,
    /// What it was told for its first boot.
    pub user_data: String,
    /// Whether it cannot be deleted.
    pub protected: bool,
    created: String,
    never_boots: bool,
}

/// A running fake; it stops when dropped.
pub struct FakeHetzner {
    address: SocketAddr,
    shared: Arc<Shared>,
    reception: Arc<Reception>,
    _serving: JoinSet<()>,
}

struct Shared {
    options: Options,
    project: Mutex<Project>,
}

impl FakeHetzner {
    /// Starts one and waits until it listens.
    pub async fn start(options: Options) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let reception = Reception::new(front::manners(options.rate_limit));
        let project = Mutex::new(Project::new(options.pace, options.extra_images));
        let shared = Arc::new(Shared { options, project });
        let mut serving = JoinSet::new();
        serving.spawn(front::serve(listener, Arc::clone(&shared), Arc::clone(&reception)));
        Self { address, shared, reception, _serving: serving }
    }

    /// Starts one, and a host that buys there unless it is told otherwise.
    pub async fn with_host(options: Options) -> (Self, TestHost) {
        let cloud = Self::start(options).await;
        let environment = vec![("HCLOUD_ENDPOINT".to_owned(), cloud.url())];
        let host = TestHost::start_with(host_process::Options { environment }).await;
        let config = json!({ "name": "hetzner", "token": cloud.token(), "default": true });
        let (status, answer) = host.post("/api/config/provider", config).await;
        assert_eq!((status, &answer["data"]["verified"]), (200, &json!(true)), "{answer}");
        (cloud, host)
    }

    /// The base address to give a client.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The token that may do everything.
    pub fn token(&self) -> &str {
        &self.shared.options.token
    }

    /// A token of the same project that may only read.
    pub fn read_only_token(&self) -> String {
        self.shared.options.read_only_token()
    }

    /// How often each request arrived, by method and path with `{id}` for ids: `POST /servers`.
    pub fn requests(&self) -> BTreeMap<String, usize> {
        self.reception.requests()
    }

    /// How often this request arrived.
    pub fn count(&self, request: &str) -> usize {
        self.reception.count(request)
    }

    /// The servers that there are.
    pub fn servers(&self) -> Vec<Server> {
        self.project().servers.values().cloned().collect()
    }

    /// How many servers were ever made, those that are gone included.
    pub fn servers_ever(&self) -> usize {
        self.project().servers_ever
    }

    /// The names of the keys that there are.
    pub fn key_names(&self) -> Vec<String> {
        self.project().keys.values().map(|key| key.name.clone()).collect()
    }

    /// Lets something go wrong from the next request on.
    pub fn inject(&self, fault: Fault) {
        self.reception.inject(fault);
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.reception.heal();
    }

    /// Puts a running server there that nobody ordered through the API.
    pub fn add_server(&self, name: &str, labels: BTreeMap<String, String>) -> u64 {
        self.project().add_server(name, labels)
    }

    /// Takes a server away, as somebody at the console does.
    pub fn take_server(&self, id: u64) -> Server {
        self.project().servers.remove(&id).unwrap()
    }

    /// Puts a server there again.
    pub fn put_server(&self, server: Server) {
        self.project().put_server(server);
    }

    /// Puts a key there that nobody stored through the API.
    pub fn add_key(&self, name: &str, public_key: &str) -> u64 {
        self.project().add_key(name, public_key, BTreeMap::new())
    }

    /// Protects a server from being deleted.
    pub fn protect(&self, server: u64) {
        self.project().servers.get_mut(&server).unwrap().protected = true;
    }

    /// Lets an action of somebody else run on a server, which is locked until it ends.
    pub fn keep_busy(&self, server: u64) {
        self.project().act("reboot_server", server, None);
    }

    /// Forgets all actions, as if they were too old.
    pub fn forget_actions(&self) {
        self.project().actions.clear();
    }

    fn project(&self) -> MutexGuard<'_, Project> {
        self.shared.project()
    }
}

impl Shared {
    fn project(&self) -> MutexGuard<'_, Project> {
        self.project.lock().unwrap()
    }
}

impl Drop for FakeHetzner {
    fn drop(&mut self) {
        self.reception.close();
    }
}

impl Options {
    fn read_only_token(&self) -> String {
        format!("{}-read-only", self.token)
    }
}
