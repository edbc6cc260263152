//! A Cloudflare of our own: what `api.cloudflare.com/client/v4` answers about zones and their
//! records, on a loopback port, with mishaps on demand.

mod answers;
mod front;
mod records;
mod zones;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::fake_cloud::Reception;
pub use crate::fake_cloud::{Fault, Harm};

/// What the fake is like.
#[derive(Clone, Debug)]
pub struct Options {
    /// The API token that may read zones and edit records.
    pub token: String,
    /// An API token that may only read.
    pub read_only_token: String,
    /// The user with a Global API Key.
    pub email: String,
    /// That key.
    pub key: String,
    /// How many requests there may be in all before 429 is the answer.
    pub rate_limit: usize,
    /// The port to listen at; a free one unless told.
    pub port: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            token: "fake_cloudflare_token_that_may_edit_0000".to_owned(),
            read_only_token: "fake_cloudflare_token_that_may_read_0000".to_owned(),
            email: "ops@example.com".to_owned(),
            key: "0123456789abcdef0123456789abcdef01234".to_owned(),
            rate_limit: 1200,
            port: 0,
        }
    }
}

/// A zone as the fake knows it.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its id.
    pub id: String,
    /// Its apex.
    pub name: String,
    /// The name of the account that has it.
    pub account: String,
}

/// A record as the fake knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: String,
    /// The id of its zone.
    pub zone: String,
    /// Its full name.
    pub name: String,
    /// `A`, `CNAME` …
    pub kind: String,
    /// What it says.
    pub content: String,
    /// Seconds, 1 for automatic.
    pub ttl: u32,
    /// Whether Cloudflare stands in between.
    pub proxied: bool,
    /// The remark on it.
    pub comment: Option<String>,
    created: String,
    modified: String,
}

/// A running fake; it stops when dropped.
pub struct FakeCloudflare {
    address: SocketAddr,
    shared: Arc<Shared>,
    reception: Arc<Reception>,
    _serving: JoinSet<()>,
}

struct Shared {
    options: Options,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    zones: Vec<Zone>,
    records: Vec<Record>,
    records_ever: usize,
    last_id: u128,
}

impl FakeCloudflare {
    /// Starts one without zones and waits until it listens.
    pub async fn start(options: Options) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let reception = Reception::new(front::manners(options.rate_limit));
        let shared = Arc::new(Shared { options, state: Mutex::default() });
        let mut serving = JoinSet::new();
        serving.spawn(front::serve(listener, Arc::clone(&shared), Arc::clone(&reception)));
        Self { address, shared, reception, _serving: serving }
    }

    /// The base address to give a client.
    pub fn url(&self) -> String {
        format!("http://{}/client/v4", self.address)
    }

    /// What it was started with.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// How often each request arrived, by method and path with `{id}` for ids.
    pub fn requests(&self) -> BTreeMap<String, usize> {
        self.reception.requests()
    }

    /// How often this request arrived.
    pub fn count(&self, request: &str) -> usize {
        self.reception.count(request)
    }

    /// How many requests changed something, or tried to.
    pub fn writes(&self) -> usize {
        let requests = self.requests().into_iter();
        requests.filter(|(name, _)| !name.starts_with("GET ")).map(|(_, times)| times).sum()
    }

    /// Lets something go wrong from the next request on.
    pub fn inject(&self, fault: Fault) {
        self.reception.inject(fault);
    }

    /// Adds a zone to an account and answers its id.
    pub fn add_zone(&self, name: &str, account: &str) -> String {
        let mut state = self.shared.state();
        let id = state.next_id();
        let (name, account) = (name.to_owned(), account.to_owned());
        state.zones.push(Zone { id: id.clone(), name, account });
        id
    }

    /// Puts a record there that somebody else made, and answers its id.
    pub fn add_record(&self, zone: &str, kind: &str, name: &str, content: &str) -> String {
        self.shared.state().add_record(Record {
            id: String::new(),
            zone: zone.to_owned(),
            name: name.to_owned(),
            kind: kind.to_owned(),
            content: content.to_owned(),
            ttl: 300,
            proxied: false,
            comment: None,
            created: String::new(),
            modified: String::new(),
        })
    }

    /// The records that there are.
    pub fn records(&self) -> Vec<Record> {
        self.shared.state().records.clone()
    }

    /// How many records were ever made, those that are gone included.
    pub fn records_ever(&self) -> usize {
        self.shared.state().records_ever
    }
}

impl State {
    fn next_id(&mut self) -> String {
        self.last_id += 1;
        format!("{:032x}", 0x4f5e_0000_0000_0000_0000_0000_0000_0000 + self.last_id)
    }

    fn add_record(&mut self, record: Record) -> String {
        let (id, now) = (self.next_id(), answers::now());
        let (created, modified) = (now.clone(), now);
        self.records.push(Record { id: id.clone(), created, modified, ..record });
        self.records_ever += 1;
        id
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for FakeCloudflare {
    fn drop(&mut self) {
        self.reception.close();
    }
}
