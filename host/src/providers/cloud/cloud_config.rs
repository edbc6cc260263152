//! What a new machine is told for its first boot, in cloud-init's words.

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::providers::Boot;

/// The `#cloud-config` that gives a machine the host key that we made, lets our key in as root,
/// and nobody in by password.
///
/// Every text in it is written as a JSON string, which is a YAML string too, so nothing in a key
/// can become configuration.
pub fn cloud_config(boot: &Boot) -> SecretString {
    let quoted = |text: &str| Value::from(text).to_string();
    let mut private_key = boot.host_key.expose_secret().trim_end().to_owned();
    private_key.push('\n');
    let lines = [
        "#cloud-config".to_owned(),
        "# Only the host key below: the first connection is verified against it.".to_owned(),
        "ssh_deletekeys: true".to_owned(),
        "ssh_genkeytypes: [ed25519]".to_owned(),
        "ssh_keys:".to_owned(),
        format!("  ed25519_private: {}", quoted(&private_key)),
        format!("  ed25519_public: {}", quoted(boot.host_key_public.trim())),
        "# Root logs in with our key; nobody does with a password.".to_owned(),
        "users: []".to_owned(),
        "disable_root: false".to_owned(),
        "ssh_authorized_keys:".to_owned(),
        format!("  - {}", quoted(boot.authorized_key.trim())),
        "ssh_pwauth: false".to_owned(),
        "# A password that the provider set must not stand in the way by having expired."
            .to_owned(),
        "chpasswd: {expire: false}".to_owned(),
        String::new(),
    ];
    SecretString::from(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_strings_whatever_is_in_them() {
        let boot = Boot {
            authorized_key: "ssh-ed25519 AAAA\nruncmd: [reboot]".to_owned(),
            host_key: SecretString::from("-----BEGIN-----\nabc\n-----END-----".to_owned()),
            host_key_public: "ssh-ed25519 BBBB".to_owned(),
        };
        let text = cloud_config(&boot).expose_secret().to_owned();
        assert!(text.starts_with("#cloud-config\n"));
        assert!(text.contains(r#"  ed25519_private: "-----BEGIN-----\nabc\n-----END-----\n""#));
        assert!(text.contains("  ed25519_public: \"ssh-ed25519 BBBB\"\n"));
        assert!(text.contains(r#"  - "ssh-ed25519 AAAA\nruncmd: [reboot]""#));
        assert!(!text.lines().any(|line| line.starts_with("runcmd")));
    }
}
