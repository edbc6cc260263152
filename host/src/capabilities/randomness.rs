//! Random numbers that follow from the job, so that a replay draws the same ones. They are no
//! secret: what must not be guessed comes from the `secrets` interface.

use std::convert::Infallible;

use sha2::{Digest, Sha256};

/// A stream of SHA-256 blocks over a seed, a purpose and a counter.
#[derive(Clone, Debug)]
pub struct Seeded {
    key: [u8; 32],
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl Seeded {
    /// The stream of this seed for this purpose.
    pub fn new(seed: &str, purpose: &str) -> Self {
        let key = Sha256::new().chain_update(purpose).chain_update([0]).chain_update(seed);
        Self { key: key.finalize().into(), counter: 0, block: [0; 32], used: 32 }
    }

    /// One number of this seed.
    pub fn number(seed: &str) -> u128 {
        let mut bytes = [0; 16];
        Self::new(seed, "seed").fill(&mut bytes);
        u128::from_le_bytes(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.used == self.block.len() {
                let next =
                    Sha256::new().chain_update(self.key).chain_update(self.counter.to_le_bytes());
                self.block = next.finalize().into();
                self.counter += 1;
                self.used = 0;
            }
            *byte = self.block.get(self.used).copied().unwrap_or_default();
            self.used += 1;
        }
    }
}

impl rand::TryRng for Seeded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.fill(bytes);
        Ok(())
    }
}
