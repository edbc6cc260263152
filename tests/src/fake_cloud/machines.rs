//! What stands behind the fake's servers.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;

/// Makes machines for servers.
#[async_trait]
pub trait Machines: Send + Sync {
    /// Makes the machine of a server and tells its address. An error becomes the error of the
    /// server's action.
    async fn boot(&self, name: &str, user_data: &str) -> anyhow::Result<Ipv4Addr>;

    /// Removes the machine of a server.
    async fn destroy(&self, name: &str) -> anyhow::Result<()>;
}

/// No machines at all: addresses of the loopback network at which nothing listens.
#[derive(Default)]
pub struct Nowhere {
    given: AtomicU32,
}

#[async_trait]
impl Machines for Nowhere {
    async fn boot(&self, _name: &str, _user_data: &str) -> anyhow::Result<Ipv4Addr> {
        let number = self.given.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Ipv4Addr::from_bits(Ipv4Addr::new(127, 77, 0, 0).to_bits() | (number & 0xffff)))
    }

    async fn destroy(&self, _name: &str) -> anyhow::Result<()> {
        Ok(())
    }
}
