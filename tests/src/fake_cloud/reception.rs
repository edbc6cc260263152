//! The way of every request to a fake: counted, harmed where that is wanted, carried out to its end
//! even when the client goes away, answered with the headers that the API puts on everything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::{self, Next};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::connection::{Lines, Scissors};
use super::faults::{self, Fault, Harm, Trouble};

/// What one API does differently from another in the way of its requests.
pub(crate) struct Manners {
    /// What its paths begin with.
    pub(crate) root: &'static str,
    /// How many requests there may be in all before there may be no more.
    pub(crate) rate_limit: usize,
    /// An error with this status, code and message.
    pub(crate) refuse: fn(u16, &str, &str) -> Response,
    /// The answer to one request too many.
    pub(crate) limited: fn() -> Response,
    /// Puts headers on the answer to a request of this number, with this limit.
    pub(crate) headers: fn(&mut HeaderMap, usize, usize),
}

/// Where requests arrive.
pub(crate) struct Reception {
    manners: Manners,
    ledger: Mutex<Ledger>,
    /// Requests being worked on.
    works: Mutex<JoinSet<()>>,
    /// Changes whenever a request arrived or was carried out.
    progress: watch::Sender<()>,
    stop: watch::Sender<()>,
}

#[derive(Default)]
struct Ledger {
    requests: BTreeMap<String, usize>,
    faults: Vec<Fault>,
}

impl Reception {
    pub(crate) fn new(manners: Manners) -> Arc<Self> {
        let (ledger, works) = (Mutex::default(), Mutex::new(JoinSet::new()));
        let (progress, stop) = (watch::Sender::new(()), watch::Sender::new(()));
        Arc::new(Self { manners, ledger, works, progress, stop })
    }

    /// How often each request arrived, by method and path with `{id}` for ids.
    pub(crate) fn requests(&self) -> BTreeMap<String, usize> {
        self.ledger().requests.clone()
    }

    /// How often this request arrived.
    pub(crate) fn count(&self, request: &str) -> usize {
        self.ledger().requests.get(request).copied().unwrap_or_default()
    }

    /// Lets something go wrong from the next request on.
    pub(crate) fn inject(&self, fault: Fault) {
        self.ledger().faults.push(fault);
    }

    /// Nothing goes wrong any more.
    pub(crate) fn heal(&self) {
        self.ledger().faults.clear();
    }

    /// Waits until something is so, looking again after every request.
    pub(crate) async fn until(&self, is_so: impl Fn() -> bool) {
        let mut progress = self.progress.subscribe();
        while !is_so() {
            progress.changed().await.unwrap();
        }
    }

    /// Drops what is being worked on and answers nobody any more.
    pub(crate) fn close(&self) {
        self.works.lock().unwrap().abort_all();
        self.stop.send_replace(());
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// Counts the request, and tells its number and what goes wrong with it.
    fn note(&self, request: &Request) -> (usize, Option<Trouble>) {
        let path = template(request.uri().path(), self.manners.root);
        let name = format!("{} {path}", request.method());
        let mut ledger = self.ledger();
        *ledger.requests.entry(name.clone()).or_default() += 1;
        (ledger.requests.values().sum(), faults::take(&mut ledger.faults, &name))
    }
}

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, app: Router, reception: Arc<Reception>) {
    let app = app
        .layer(middleware::from_fn_with_state(reception, receive))
        .into_make_service_with_connect_info::<Scissors>();
    // Ends only by being dropped.
    axum::serve(Lines(listener), app).await.unwrap();
}

/// The token that a request brings.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

async fn receive(
    State(reception): State<Arc<Reception>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    mut request: Request,
    next: Next,
) -> Response {
    let (number, trouble) = reception.note(&request);
    reception.progress.send_replace(());
    let manners = &reception.manners;
    let mut answer = match &trouble {
        _ if number > manners.rate_limit => (manners.limited)(),
        Some(trouble) if !trouble.works => Response::default(),
        _ => {
            request.extensions_mut().insert(trouble.clone());
            work(&reception, request, next).await
        }
    };
    reception.progress.send_replace(());
    if let Some(trouble) = trouble {
        match &trouble.harm {
            Harm::Cut => scissors.cut(),
            Harm::Silence => drop(reception.stop.subscribe().changed().await),
            harm => answer = faults::answer(harm, manners.refuse).unwrap_or(answer),
        }
    }
    (manners.headers)(answer.headers_mut(), number, manners.rate_limit);
    answer
}

/// Puts on an answer what is left of a limit, and what the request is called.
pub(crate) fn put_limit(headers: &mut HeaderMap, request: &str, number: usize, limit: usize) {
    let remaining = limit.saturating_sub(number);
    let reset = jiff::Timestamp::now().as_second() + i64::try_from(limit - remaining).unwrap();
    for (name, value) in [
        ("ratelimit-limit", limit.to_string()),
        ("ratelimit-remaining", remaining.to_string()),
        ("ratelimit-reset", reset.to_string()),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    let name = HeaderName::from_bytes(request.as_bytes()).unwrap();
    headers.insert(name, format!("fake{number:012x}").parse().unwrap());
}

/// Carries the request out to its end, even when the client goes away in the middle.
async fn work(reception: &Reception, request: Request, next: Next) -> Response {
    let (sender, receiver) = oneshot::channel();
    {
        let mut works = reception.works.lock().unwrap();
        while works.try_join_next().is_some() {}
        works.spawn(async move {
            // A client that is gone takes no answer.
            drop(sender.send(next.run(request).await));
        });
    }
    receiver.await.unwrap_or_else(|_stopped| Response::default())
}

/// The path with `{id}` for ids, and without what all paths begin with.
fn template(path: &str, root: &str) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    let is_number = |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit());
    let is_hex = |it: &str| it.len() == 32 && it.bytes().all(|b| b.is_ascii_hexdigit());
    let is_id = |it: &str| is_number(it) || is_hex(it) || it.contains(':');
    let segments = path.split('/').map(|segment| if is_id(segment) { "{id}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}
