//! A TCP proxy that can cut its connections and refuse new ones, or strike in the middle of a
//! request or an answer: at one byte of all that it carries.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A proxy to one port; it ends with this value.
pub struct Proxy {
    address: SocketAddr,
    /// Where new connections go.
    there: watch::Sender<SocketAddr>,
    meter: Arc<Meter>,
    _tasks: JoinSet<()>,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Requests.
    There,
    /// Answers.
    Back,
}

/// What happens at a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// Its connection ends; new ones are taken.
    Cut,
    /// Its connection carries nothing more, and waits for somebody to cut it: time to kill whoever
    /// is at one end.
    Stall,
}

/// A harm, and when it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// Of which direction the bytes are counted.
    pub direction: Direction,
    /// The first byte that does not arrive, counted from 0 over all connections.
    pub byte: u64,
    /// What happens then.
    pub harm: Harm,
}

/// What all connections share.
struct Meter {
    /// Connections of an older generation are cut; none are taken while it is `None`.
    generation: watch::Sender<Option<u64>>,
    struck: watch::Sender<bool>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    connections: u64,
    generation: u64,
    there: u64,
    back: u64,
    strike: Option<Strike>,
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
        let meter = Arc::new(Meter {
            generation: watch::Sender::new(Some(0)),
            struck: watch::Sender::new(false),
            counts: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        let (there, target) = watch::channel(there);
        tasks.spawn(serve(listener, target, Arc::clone(&meter)));
        Self { address, there, meter, _tasks: tasks }
    }

    /// Where it listens.
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections it took on so far.
    pub fn connections(&self) -> u64 {
        self.meter.counts.lock().unwrap().connections
    }

    /// How many bytes went there and back since the last [`Proxy::arm`].
    pub fn carried(&self) -> (u64, u64) {
        let counts = self.meter.counts.lock().unwrap();
        (counts.there, counts.back)
    }

    /// Begins to count anew, and strikes once when it is time for that.
    pub fn arm(&self, strike: Option<Strike>) {
        let mut counts = self.meter.counts.lock().unwrap();
        (counts.there, counts.back, counts.strike) = (0, 0, strike);
        self.meter.struck.send_replace(false);
    }

    /// Waits until it struck.
    pub async fn struck(&self) {
        let mut struck = self.meter.struck.subscribe();
        struck.wait_for(|struck| *struck).await.unwrap();
    }

    /// Cuts all connections; new ones lead to this loopback port.
    pub fn lead_to(&self, port: u16) {
        self.there.send_replace(SocketAddr::from(([127, 0, 0, 1], port)));
        self.cut();
    }

    /// Cuts all connections; new ones are taken.
    pub fn cut(&self) {
        let mut counts = self.meter.counts.lock().unwrap();
        counts.generation += 1;
        self.meter.generation.send_replace(Some(counts.generation));
    }

    /// Cuts all connections and takes none until [`Proxy::cut`].
    pub fn close(&self) {
        self.meter.generation.send_replace(None);
    }
}

impl Strike {
    /// So many strikes that follow from a seed, within what an undisturbed run carried: in turn at
    /// requests and at answers, and of both harms.
    pub fn of_seed(seed: u64, count: usize, carried: (u64, u64)) -> Vec<Self> {
        let mut random = StdRng::seed_from_u64(seed);
        let ways = [Direction::There, Direction::Back];
        let harms = [Harm::Stall, Harm::Stall, Harm::Cut, Harm::Cut];
        let turns = ways.into_iter().cycle().zip(harms.into_iter().cycle());
        let strike = |(direction, harm)| {
            let most = if direction == Direction::There { carried.0 } else { carried.1 };
            Self { direction, byte: random.random_range(0..most), harm }
        };
        turns.take(count).map(strike).collect()
    }
}

impl Meter {
    /// How many of these bytes arrive, and what happens then.
    fn count(&self, direction: Direction, bytes: usize) -> (usize, Option<Harm>) {
        let mut counts = self.counts.lock().unwrap();
        let counted =
            if direction == Direction::There { &mut counts.there } else { &mut counts.back };
        let before = *counted;
        *counted += bytes as u64;
        let after = *counted;
        match counts.strike {
            Some(strike) if strike.direction == direction && strike.byte < after => {
                counts.strike = None;
                let arrive = usize::try_from(strike.byte.saturating_sub(before)).unwrap();
                (arrive, Some(strike.harm))
            }
            _ => (bytes, None),
        }
    }

    /// Carries bytes one way until an end closes, or it is time to strike.
    async fn carry(&self, direction: Direction, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let Ok(read) = from.read(&mut buffer).await else { return };
            if read == 0 {
                // The other way may go on.
                to.shutdown().await.unwrap_or_default();
                return;
            }
            let (arrive, harm) = self.count(direction, read);
            if to.write_all(&buffer[..arrive]).await.is_err() {
                return;
            }
            let Some(harm) = harm else { continue };
            if harm == Harm::Cut {
                let next = {
                    let mut counts = self.counts.lock().unwrap();
                    counts.generation += 1;
                    counts.generation
                };
                self.generation.send_replace(Some(next));
            }
            self.struck.send_replace(true);
            std::future::pending::<()>().await;
        }
    }
}

async fn serve(listener: TcpListener, there: watch::Receiver<SocketAddr>, meter: Arc<Meter>) {
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        let mut current = meter.generation.subscribe();
        let Some(mine) = *current.borrow_and_update() else { continue };
        meter.counts.lock().unwrap().connections += 1;
        let (there, meter) = (*there.borrow(), Arc::clone(&meter));
        connections.spawn(async move {
            let Ok(far) = TcpStream::connect(there).await else { return };
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            let both = async {
                tokio::join!(
                    meter.carry(Direction::There, near_in, far_out),
                    meter.carry(Direction::Back, far_in, near_out),
                );
            };
            tokio::select! {
                () = both => {}
                _ = current.wait_for(|generation| *generation != Some(mine)) => {}
            }
        });
    }
}
