//! The key that secrets are sealed with, and the short id by which a sealed value knows it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Generate, Key as CipherKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Bytes of a key.
pub(super) const LENGTH: usize = 32;
/// Bytes of a key's id.
pub(super) const ID_LENGTH: usize = 8;

/// A key. It is not shown by anything; [`Key::to_hex`] is for the key's own file.
#[derive(Clone)]
pub struct Key {
    bytes: Zeroizing<[u8; LENGTH]>,
    id: KeyId,
}

/// Tells one key from another without saying anything about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub(super) [u8; ID_LENGTH]);

impl Key {
    /// A new one, from the system's randomness.
    pub fn generate() -> Self {
        Self::from_bytes(Zeroizing::new(CipherKey::<XChaCha20Poly1305>::generate().into()))
    }

    /// The key of these bytes.
    pub(super) fn from_bytes(bytes: Zeroizing<[u8; LENGTH]>) -> Self {
        let digest = Sha256::new().chain_update(b"windlass vault key").chain_update(&bytes[..]);
        let mut id = [0; ID_LENGTH];
        id.iter_mut().zip(digest.finalize()).for_each(|(to, from)| *to = from);
        Self { bytes, id: KeyId(id) }
    }

    /// Reads 64 hex digits, or 32 bytes in base64 of either alphabet.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        from_hex(text).or_else(|| from_base64(text)).map(Self::from_bytes)
    }

    /// What others know it by.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The key as text.
    pub(super) fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex(&self.bytes[..]))
    }

    /// The key itself.
    pub(super) fn bytes(&self) -> &[u8; LENGTH] {
        &self.bytes
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// Bytes as lower-case hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn from_hex(text: &[u8]) -> Option<Zeroizing<[u8; LENGTH]>> {
    let mut key = Zeroizing::new([0; LENGTH]);
    if text.len() != 2 * LENGTH {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(text.chunks_exact(2)) {
        for &digit in pair {
            *byte = (*byte << 4) | u8::try_from(char::from(digit).to_digit(16)?).ok()?;
        }
    }
    Some(key)
}

fn from_base64(text: &[u8]) -> Option<Zeroizing<[u8; LENGTH]>> {
    let alphabets = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD];
    let bytes = alphabets.iter().find_map(|alphabet| alphabet.decode(text).ok())?;
    let bytes = Zeroizing::new(bytes);
    let mut key = Zeroizing::new([0; LENGTH]);
    if bytes.len() != LENGTH {
        return None;
    }
    key.copy_from_slice(&bytes);
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_hex_and_from_base64() {
        let key = Key::generate();
        let standard = STANDARD.encode(key.bytes());
        let url_safe = URL_SAFE_NO_PAD.encode(key.bytes());
        for text in [key.to_hex().as_str(), standard.as_str(), url_safe.as_str()] {
            let read = Key::parse(format!(" {text}\n").as_bytes()).unwrap();
            assert_eq!(read.bytes(), key.bytes());
        }
        for text in ["", "abcd", "zz", &"a".repeat(63), &"é".repeat(32)] {
            assert!(Key::parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
