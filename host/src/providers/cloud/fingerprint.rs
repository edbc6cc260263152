//! What the clouds look public keys up by.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use crate::providers::ProviderError;

/// MD5 of a public key in OpenSSH's notation, in hex with colons.
pub fn fingerprint(line: &str) -> Result<String, ProviderError> {
    let encoded = line.split_whitespace().nth(1).unwrap_or_default();
    let blob = STANDARD.decode(encoded).ok().filter(|blob| !blob.is_empty());
    let blob = blob.ok_or_else(|| ProviderError::Refused {
        code: "invalid_argument",
        message: "the SSH key is no public key in OpenSSH's notation".to_owned(),
    })?;
    let bytes: Vec<String> = Md5::digest(blob).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(bytes.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_what_ssh_keygen_says() {
        let line = "ssh-ed25519 \
                    AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me";
        assert_eq!(fingerprint(line).unwrap(), "65:96:2d:fc:e8:d5:a9:11:64:0c:0f:ea:00:6e:5b:bd");
        assert!(fingerprint("ssh-ed25519").is_err());
    }
}
