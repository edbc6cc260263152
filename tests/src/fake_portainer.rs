//! A Portainer of our own on a loopback port, behind TLS with a certificate that it signed itself:
//! what CE 2.39 answers about signing in, environments and stacks, with mishaps on demand.

mod answers;

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::routing::{get, post, put};
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::fake_cloud::Reception;
pub use crate::fake_cloud::{Fault, Harm};

/// The administrator's password.
pub const PASSWORD: &str = "a password of this very Portainer";
/// The id of its swarm.
pub const SWARM: &str = "jpofkc0i9uo9wtx1zesuk649w";

/// What is in it.
#[derive(Debug)]
pub struct Shelf {
    /// The administrator's password; none before somebody gave one.
    pub password: Option<String>,
    /// The sign-ins that count.
    pub tokens: Vec<String>,
    /// The environments by id.
    pub environments: Vec<(u64, String)>,
    /// The stacks, with their files as `StackFileContent`.
    pub stacks: Vec<Value>,
    /// Names that the engine runs and Portainer does not list.
    pub taken: Vec<String>,
    next: u64,
}

/// A running fake; it stops when dropped.
pub struct FakePortainer {
    port: u16,
    certificate: CertificateDer<'static>,
    shelf: Arc<Mutex<Shelf>>,
    reception: Arc<Reception>,
    _serving: JoinSet<()>,
}

impl FakePortainer {
    /// Starts one with an administrator and the environment of its swarm.
    pub async fn start() -> Self {
        let shelf = Arc::new(Mutex::new(Shelf {
            password: Some(PASSWORD.to_owned()),
            tokens: Vec::new(),
            environments: vec![(1, "primary".to_owned())],
            stacks: Vec::new(),
            taken: Vec::new(),
            next: 1,
        }));
        let reception = Reception::new(answers::manners());
        let plain = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let inner = plain.local_addr().unwrap().port();
        let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = door.local_addr().unwrap().port();
        let signed = rcgen::generate_simple_self_signed(["portainer".to_owned()]).unwrap();
        let certificate = signed.cert.der().clone();
        let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(lock(door, inner, acceptor(certificate.clone(), key)));
        let served = crate::fake_cloud::serve(plain, router(&shelf), Arc::clone(&reception));
        serving.spawn(served);
        Self { port, certificate, shelf, reception, _serving: serving }
    }

    /// Where it listens with TLS.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The certificate that it shows.
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    /// What is in it.
    pub fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap()
    }

    /// How often a request arrived: `POST /auth`, `PUT /stacks/{id}`.
    pub fn count(&self, request: &str) -> usize {
        self.reception.count(request)
    }

    /// Lets something go wrong from the next request on.
    pub fn inject(&self, fault: Fault) {
        self.reception.inject(fault);
    }
}

fn router(shelf: &Arc<Mutex<Shelf>>) -> Router {
    let api = Router::new()
        .route("/auth", post(answers::sign_in))
        .route("/users/admin/check", get(answers::has_administrator))
        .route("/users/admin/init", post(answers::make_administrator))
        .route("/endpoints", get(answers::environments).post(answers::add_environment))
        .route("/endpoints/{id}/docker/swarm", get(answers::swarm))
        .route("/stacks", get(answers::stacks))
        .route("/stacks/create/swarm/string", post(answers::create))
        .route("/stacks/{id}", put(answers::update).delete(answers::delete));
    Router::new().nest("/api", api).with_state(Arc::clone(shelf))
}

fn acceptor(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> TlsAcceptor {
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Takes TLS off and passes on what is inside.
async fn lock(door: TcpListener, inner: u16, acceptor: TlsAcceptor) {
    let mut callers = JoinSet::new();
    loop {
        let (caller, _) = door.accept().await.unwrap();
        let acceptor = acceptor.clone();
        callers.spawn(async move {
            // Who does not like the certificate goes away.
            let Ok(mut caller) = acceptor.accept(caller).await else { return };
            let mut inside = TcpStream::connect((Ipv4Addr::LOCALHOST, inner)).await.unwrap();
            drop(copy_bidirectional(&mut caller, &mut inside).await);
        });
    }
}
