//! A DigitalOcean of our own: what `api.digitalocean.com` answers, on a loopback port, with mishaps
//! on demand and, where wanted, real machines behind its droplets.

mod account;
mod actions;
mod answers;
mod catalogue;
mod droplets;
mod front;
mod keys;
mod tags;
mod views;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use self::account::Account;
use crate::fake_cloud::Reception;
pub use crate::fake_cloud::{Fault, Harm, Machines, Nowhere, Pace};

/// What the fake is like.
#[derive(Clone)]
pub struct Options {
    /// The token that may do everything.
    pub token: String,
    /// How long actions and deletions go on.
    pub pace: Pace,
    /// How many looks at a new droplet show it without its tags.
    pub tags_after_looks: u32,
    /// How many droplets the account may have.
    pub droplet_limit: usize,
    /// How many requests there may be in all before 429 is the answer.
    pub rate_limit: usize,
    /// The account's status: `active`, `warning` or `locked`.
    pub account_status: &'static str,
    /// Sizes on top of the usual ones, for lists that have several pages.
    pub extra_sizes: usize,
    /// What stands behind the droplets.
    pub machines: Arc<dyn Machines>,
    /// The port to listen at; a free one unless told.
    pub port: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            token: "dop_v1_fake_token_that_may_do_everything_00000000000000000000000000".to_owned(),
            pace: Pace::Looks(1),
            tags_after_looks: 0,
            droplet_limit: 100,
            rate_limit: 5000,
            account_status: "active",
            extra_sizes: 0,
            machines: Arc::new(Nowhere::default()),
            port: 0,
        }
    }
}

/// A droplet as the fake knows it.
#[derive(Clone, Debug)]
pub struct Droplet {
    /// Its id.
    pub id: u64,
    /// Its name, which others may have too.
    pub name: String,
    /// What the API calls its status.
    pub status: &'static str,
    /// Its tags, those that do not show yet included.
    pub tags: Vec<String>,
    /// Its public address.
    pub ipv4: Ipv4Addr,
    /// The slug of its size.
    pub size: String,
    /// The slug of its place.
    pub region: String,
    /// The slug of its image.
    pub image: String,
    /// The ids of the keys that may log in.
    pub keys: Vec<u64>,
    /// What it was told for its first boot.
    pub user_data: String,
    /// When it was ordered, as the API writes it.
    pub created: String,
    /// How many more looks at it show no tags.
    tags_hidden: u32,
    never_boots: bool,
}

/// A running fake; it stops when dropped.
pub struct FakeDigitalOcean {
    address: SocketAddr,
    shared: Arc<Shared>,
    reception: Arc<Reception>,
    _serving: JoinSet<()>,
}

struct Shared {
    options: Options,
    /// Where it listens, for the links in its answers.
    url: String,
    account: Mutex<Account>,
}

impl FakeDigitalOcean {
    /// Starts one and waits until it listens.
    pub async fn start(options: Options) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let reception = Reception::new(front::manners(options.rate_limit));
        let account = Mutex::new(Account::new(options.pace, options.extra_sizes));
        let shared = Arc::new(Shared { options, url: format!("http://{address}"), account });
        let mut serving = JoinSet::new();
        serving.spawn(front::serve(listener, Arc::clone(&shared), Arc::clone(&reception)));
        Self { address, shared, reception, _serving: serving }
    }

    /// The base address to give a client.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The token that may do everything.
    pub fn token(&self) -> &str {
        &self.shared.options.token
    }

    /// A token of the same account whose scopes allow reading only.
    pub fn read_only_token(&self) -> String {
        self.shared.options.read_only_token()
    }

    /// How often each request arrived, by method and path with `{id}` for ids: `POST /droplets`.
    pub fn requests(&self) -> BTreeMap<String, usize> {
        self.reception.requests()
    }

    /// How often this request arrived.
    pub fn count(&self, request: &str) -> usize {
        self.reception.count(request)
    }

    /// The droplets that there are.
    pub fn droplets(&self) -> Vec<Droplet> {
        self.account().droplets.values().cloned().collect()
    }

    /// How many droplets were ever ordered through the API, those that are gone included.
    pub fn droplets_ordered(&self) -> usize {
        self.account().droplets_ordered
    }

    /// The names of the keys that there are.
    pub fn key_names(&self) -> Vec<String> {
        self.account().keys.values().map(|key| key.name.clone()).collect()
    }

    /// The tags that there are, on droplets or not.
    pub fn tags(&self) -> Vec<String> {
        self.account().tags.iter().cloned().collect()
    }

    /// Lets something go wrong from the next request on.
    pub fn inject(&self, fault: Fault) {
        self.reception.inject(fault);
    }

    /// Waits until something is so, looking again after every request.
    pub async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        self.reception.until(|| is_so(self)).await;
    }

    /// Puts a running droplet there that nobody ordered through the API, made at this time.
    pub fn add_droplet(&self, name: &str, tags: &[&str], created: &str) -> u64 {
        self.account().add_droplet(name, tags, created)
    }

    /// Takes a droplet away, as somebody at the control panel does.
    pub fn take_droplet(&self, id: u64) -> Droplet {
        self.account().droplets.remove(&id).unwrap()
    }

    /// Puts a droplet there again.
    pub fn put_droplet(&self, droplet: Droplet) {
        self.account().put_droplet(droplet);
    }

    /// Puts a key there that nobody stored through the API.
    pub fn add_key(&self, name: &str, public_key: &str) -> u64 {
        self.account().add_key(name, public_key)
    }

    /// Lets an action of somebody else run on a droplet, which is busy until it ends.
    pub fn keep_busy(&self, droplet: u64) {
        self.account().act("reboot", droplet, false);
    }

    /// Forgets all actions, as if they were too old.
    pub fn forget_actions(&self) {
        self.account().actions.clear();
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.shared.account()
    }
}

impl Shared {
    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap()
    }
}

impl Drop for FakeDigitalOcean {
    fn drop(&mut self) {
        self.reception.close();
    }
}

impl Options {
    fn read_only_token(&self) -> String {
        format!("{}-read-only", self.token)
    }
}
