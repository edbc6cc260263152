//! What the clouds look public keys up by.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

/// MD5 with colons, or none for what is no public key.
pub(crate) fn fingerprint(public_key: &str) -> Option<String> {
    let mut words = public_key.split_whitespace();
    let kind = words.next()?;
    let blob = STANDARD.decode(words.next()?).ok()?;
    // The key begins with its own kind, after the length of that in four bytes.
    if blob.get(4..4 + kind.len())? != kind.as_bytes() {
        return None;
    }
    let bytes: Vec<String> = Md5::digest(blob).iter().map(|byte| format!("{byte:02x}")).collect();
    Some(bytes.join(":"))
}
