//! A TCP proxy that can cut its connections and refuse new ones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A proxy to one port; it ends with this value.
pub struct Proxy {
    address: SocketAddr,
    /// Connections of an older generation are cut; none are taken while it is `None`.
    generation: watch::Sender<Option<u64>>,
    /// Where new connections go.
    there: watch::Sender<SocketAddr>,
    next: AtomicU64,
    carried: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// A proxy to this loopback port.
    pub async fn to(port: u16) -> Self {
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::between(here, SocketAddr::from(([127, 0, 0, 1], port))).await
    }

    /// A proxy that listens at one address and leads to another.
    pub async fn between(here: SocketAddr, there: SocketAddr) -> Self {
        let listener = TcpListener::bind(here).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (generation, current) = watch::channel(Some(0));
        let carried = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        let (there, target) = watch::channel(there);
        tasks.spawn(serve(listener, target, current, carried.clone()));
        Self { address, generation, there, next: AtomicU64::new(1), carried, _tasks: tasks }
    }

    /// Where it listens.
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections it took on so far.
    pub fn connections(&self) -> u64 {
        self.carried.load(Ordering::SeqCst)
    }

    /// Cuts all connections; new ones lead to this loopback port.
    pub fn lead_to(&self, port: u16) {
        self.there.send_replace(SocketAddr::from(([127, 0, 0, 1], port)));
        self.cut();
    }

    /// Cuts all connections; new ones are taken.
    pub fn cut(&self) {
        let next = self.next.fetch_add(1, Ordering::SeqCst);
        self.generation.send_replace(Some(next));
    }

    /// Cuts all connections and takes none until [`Proxy::cut`].
    pub fn close(&self) {
        self.generation.send_replace(None);
    }
}

async fn serve(
    listener: TcpListener,
    there: watch::Receiver<SocketAddr>,
    current: watch::Receiver<Option<u64>>,
    carried: Arc<AtomicU64>,
) {
    let mut connections = JoinSet::new();
    while let Ok((mut near, _)) = listener.accept().await {
        let mut current = current.clone();
        let Some(mine) = *current.borrow_and_update() else { continue };
        carried.fetch_add(1, Ordering::SeqCst);
        let there = *there.borrow();
        connections.spawn(async move {
            let Ok(mut far) = TcpStream::connect(there).await else { return };
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => {}
                _ = current.wait_for(|generation| *generation != Some(mine)) => {}
            }
        });
    }
}
