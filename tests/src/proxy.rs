//! A TCP proxy on loopback that can cut its connections and refuse new ones.

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
    next: AtomicU64,
    carried: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// A proxy to this loopback port.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (generation, current) = watch::channel(Some(0));
        let carried = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, port, current, carried.clone()));
        Self { address, generation, next: AtomicU64::new(1), carried, _tasks: tasks }
    }

    /// Where it listens.
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections it took on so far.
    pub fn connections(&self) -> u64 {
        self.carried.load(Ordering::SeqCst)
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
    port: u16,
    current: watch::Receiver<Option<u64>>,
    carried: Arc<AtomicU64>,
) {
    let mut connections = JoinSet::new();
    while let Ok((mut near, _)) = listener.accept().await {
        let mut current = current.clone();
        let Some(mine) = *current.borrow_and_update() else { continue };
        carried.fetch_add(1, Ordering::SeqCst);
        connections.spawn(async move {
            let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => {}
                _ = current.wait_for(|generation| *generation != Some(mine)) => {}
            }
        });
    }
}
