//! A registry of our own that answers what a test says, true or not, and tells what it was asked.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What it answers to a path.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP's number.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<(&'static str, String)>,
    /// What it says.
    pub says: Says,
}

/// What an answer says.
#[derive(Clone, Debug)]
pub enum Says {
    /// This.
    Bytes(Vec<u8>),
    /// No end of zeros.
    Endless,
}

/// What it was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// With the query.
    pub path: String,
    /// Who asked, by their header.
    pub authorization: Option<String>,
}

#[derive(Default)]
struct Shelf {
    answers: HashMap<String, Answer>,
    /// Paths below these are answered to nobody without this header.
    locked: Option<(String, String)>,
    asked: Vec<Asked>,
}

/// A running one; it stops when dropped.
pub struct FakeRegistry {
    port: u16,
    shelf: Arc<Mutex<Shelf>>,
    _serving: JoinSet<()>,
}

impl FakeRegistry {
    /// An empty one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shelf: Arc<Mutex<Shelf>> = Arc::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shelf));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { port, shelf, _serving: serving }
    }

    /// Its name in references.
    pub fn name(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// From now on it answers this to a path.
    pub fn answers(&self, path: &str, says: impl Into<Says>) {
        let answer = Answer { status: 200, headers: Vec::new(), says: says.into() };
        self.answers_with(path, answer);
    }

    /// The same, with a status and headers.
    pub fn answers_with(&self, path: &str, answer: Answer) {
        self.shelf.lock().unwrap().answers.insert(path.to_owned(), answer);
    }

    /// From now on whoever asks below `/v2/` without this authorization is sent this challenge.
    pub fn wants(&self, authorization: &str, challenge: String) {
        self.shelf.lock().unwrap().locked = Some((authorization.to_owned(), challenge));
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shelf.lock().unwrap().asked.clone()
    }
}

impl From<Vec<u8>> for Says {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

async fn answer(State(shelf): State<Arc<Mutex<Shelf>>>, request: Request) -> Response {
    let header = request.headers().get("authorization");
    let authorization = header.map(|it| it.to_str().unwrap().to_owned());
    let path = request.uri().path().to_owned();
    let whole = request.uri().to_string();
    let mut shelf = shelf.lock().unwrap();
    shelf.asked.push(Asked { path: whole, authorization: authorization.clone() });
    if let Some((wanted, challenge)) = &shelf.locked
        && path.starts_with("/v2/")
        && authorization.as_deref() != Some(wanted)
    {
        let answer = Response::builder().status(401).header("WWW-Authenticate", challenge);
        return answer.body(Body::empty()).unwrap();
    }
    let Some(answer) = shelf.answers.get(&path).cloned() else {
        return Response::builder().status(404).body(Body::empty()).unwrap();
    };
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response
        .body(match answer.says {
            Says::Bytes(bytes) => Body::from(bytes),
            Says::Endless => {
                let zeros = Bytes::from(vec![0; 64 * 1024]);
                let zeros = std::iter::repeat_with(move || Ok::<_, std::io::Error>(zeros.clone()));
                Body::from_stream(futures_util::stream::iter(zeros))
            }
        })
        .unwrap()
}
