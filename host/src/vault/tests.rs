//! Sealing, where the key comes from, and rotations that are cut off at each step.

use std::os::unix::fs::PermissionsExt;

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::model::names::ProviderKind;
use crate::storage::ProviderConfig;
use crate::storage::sqlite::{Options, Sqlite};
use crate::vault::rotation::Rotation;

/// A home with a store.
struct Bench {
    home: TempDir,
    store: Arc<dyn Store>,
}

impl Bench {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&home.path().join("windlass.db"), &Options::default()).unwrap();
        Self { home, store }
    }

    async fn open(&self, source: &Source) -> Result<Vault, VaultError> {
        Vault::open(self.home.path(), source, &self.store).await
    }

    /// Seals a secret and a provider's token, as the host does.
    async fn fill(&self, vault: &Vault) {
        let sealed = vault.seal("server/a/ssh_key", b"private");
        self.store.ensure_secret("server/a/ssh_key", &sealed).await.unwrap();
        let token = vault.seal("provider/hetzner/token", b"s3cret");
        let kind = ProviderKind::Hetzner;
        let config = ProviderConfig { kind, token: Some(token), endpoint: None, default: true };
        self.store.put_provider(config).await.unwrap();
    }

    async fn holds_what_was_filled_in(&self, vault: &Vault) {
        let sealed = self.store.secret("server/a/ssh_key").await.unwrap().unwrap();
        let plain = vault.unseal("server/a/ssh_key", &sealed).unwrap();
        assert_eq!(plain.expose_secret(), "private");
        let token = self.store.providers().await.unwrap().remove(0).token.unwrap();
        let token = vault.unseal("provider/hetzner/token", &token).unwrap();
        assert_eq!(token.expose_secret(), "s3cret");
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.home.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with("windlass.db")).collect();
        names.sort();
        names
    }
}

fn refusal<T>(result: Result<T, VaultError>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

fn given(digit: &str) -> Source {
    Source::Given(SecretString::from(digit.repeat(64)))
}

fn passphrase(text: &str) -> Source {
    Source::Passphrase(SecretString::from(text))
}

#[tokio::test]
async fn what_is_sealed_opens_again_after_a_restart_and_only_under_its_name() {
    let bench = Bench::new();
    let sealed = bench.open(&Source::File).await.unwrap().seal("a/token", b"s3cret");
    let vault = bench.open(&Source::File).await.unwrap();
    assert_eq!(vault.unseal("a/token", &sealed).unwrap().expose_secret(), "s3cret");
    assert!(refusal(vault.unseal("b/token", &sealed)).contains("another name"));
    assert_ne!(vault.seal("a/token", b"s3cret"), sealed);
    assert!(!sealed.windows(6).any(|part| part == b"s3cret"));
}

#[tokio::test]
async fn every_changed_byte_is_noticed() {
    let vault = Vault::new(Key::generate());
    let sealed = vault.seal("a", b"secret");
    for index in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[index] ^= 1;
        assert!(vault.unseal("a", &changed).is_err(), "byte {index}");
        assert!(vault.unseal("a", &sealed[..index]).is_err(), "cut at {index}");
    }
}

#[tokio::test]
async fn the_key_is_private_and_a_public_or_broken_one_is_refused() {
    let bench = Bench::new();
    bench.open(&Source::File).await.unwrap();
    let path = bench.home.path().join("key");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    assert!(refusal(bench.open(&Source::File).await).contains("others can read"));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(&path, "not a key").unwrap();
    assert!(refusal(bench.open(&Source::File).await).contains("holds no key"));
    assert_eq!(bench.files(), ["key"], "nothing is left beside it");
}

#[tokio::test]
async fn a_wrong_key_is_refused_at_the_start_although_nothing_was_sealed_yet() {
    let bench = Bench::new();
    let first = bench.open(&given("a")).await.unwrap();
    assert!(bench.files().is_empty(), "no key is written that was given");
    let wrong = refusal(bench.open(&given("b")).await);
    assert!(wrong.contains(&first.key_id().to_string()), "{wrong}");
    assert!(wrong.contains("tried: WINDLASS_KEY (key "), "{wrong}");
    let lost = refusal(bench.open(&Source::File).await);
    assert!(lost.contains("key (there is none)") && lost.contains("WINDLASS_KEY (not"), "{lost}");
    assert!(bench.files().is_empty(), "no new key is made for an old store");
    let none = refusal(bench.open(&Source::Given(SecretString::from("hunter2"))).await);
    assert!(none.contains("this is no key") && !none.contains("hunter2"), "{none}");
}

#[tokio::test]
async fn a_key_that_is_there_and_is_not_used_is_named() {
    let bench = Bench::new();
    bench.open(&Source::File).await.unwrap();
    let wrong = refusal(bench.open(&given("b")).await);
    assert!(wrong.contains("is the one: use no other source"), "{wrong}");
}

#[tokio::test]
async fn a_passphrase_opens_what_it_sealed_and_another_does_not() {
    let bench = Bench::new();
    let vault = bench.open(&passphrase("correct horse")).await.unwrap();
    bench.fill(&vault).await;
    assert_eq!(bench.files(), ["passphrase.json"]);
    let again = bench.open(&passphrase("correct horse")).await.unwrap();
    bench.holds_what_was_filled_in(&again).await;
    let wrong = refusal(bench.open(&passphrase("battery staple")).await);
    assert!(wrong.contains("the passphrase with") && !wrong.contains("battery"), "{wrong}");
    assert!(refusal(bench.open(&passphrase("short")).await).contains("fewer than 8"));
}

/// Rotates, and ends as a crash would after so many steps.
async fn rotate(bench: &Bench, from: &Source, to: &Source, steps: usize) {
    let prepared =
        Rotation::prepare(bench.home.path(), &bench.store, from, to.clone()).await.unwrap();
    if steps == 1 {
        return;
    }
    let resealed = prepared.reseal().await.unwrap();
    if steps > 2 {
        assert_eq!(resealed.finish().unwrap().values, 3);
    }
}

#[tokio::test]
async fn a_rotation_of_the_key_file_survives_being_cut_off_at_each_step() {
    for steps in 1..=3 {
        let bench = Bench::new();
        let old = bench.open(&Source::File).await.unwrap();
        bench.fill(&old).await;
        rotate(&bench, &Source::File, &Source::File, steps).await;
        let vault = bench.open(&Source::File).await.unwrap();
        bench.holds_what_was_filled_in(&vault).await;
        assert_eq!(vault.key_id() == old.key_id(), steps == 1, "after {steps} steps");
        assert_eq!(bench.files(), ["key"], "after {steps} steps");
    }
}

#[tokio::test]
async fn a_rotation_of_a_given_key_is_done_or_not() {
    for steps in 1..=3 {
        let bench = Bench::new();
        bench.fill(&bench.open(&given("a")).await.unwrap()).await;
        rotate(&bench, &given("a"), &given("b"), steps).await;
        let (right, wrong) =
            if steps == 1 { (given("a"), given("b")) } else { (given("b"), given("a")) };
        bench.holds_what_was_filled_in(&bench.open(&right).await.unwrap()).await;
        assert!(refusal(bench.open(&wrong).await).contains("another one"));
    }
}

#[tokio::test]
async fn a_rotation_of_a_passphrase_survives_being_cut_off_at_each_step() {
    for steps in 1..=3 {
        let bench = Bench::new();
        let (old, new) = (passphrase("correct horse"), passphrase("battery staple"));
        bench.fill(&bench.open(&old).await.unwrap()).await;
        rotate(&bench, &old, &new, steps).await;
        let (right, wrong) = if steps == 1 { (old, new) } else { (new, old) };
        assert!(refusal(bench.open(&wrong).await).contains("another one"), "after {steps}");
        bench.holds_what_was_filled_in(&bench.open(&right).await.unwrap()).await;
        assert_eq!(bench.files(), ["passphrase.json"], "after {steps} steps");
    }
}

#[tokio::test]
async fn a_home_can_go_from_a_key_file_to_a_passphrase_and_to_a_given_key() {
    let bench = Bench::new();
    bench.fill(&bench.open(&Source::File).await.unwrap()).await;
    rotate(&bench, &Source::File, &passphrase("correct horse"), 3).await;
    assert_eq!(bench.files(), ["passphrase.json"]);
    rotate(&bench, &passphrase("correct horse"), &given("a"), 3).await;
    assert!(bench.files().is_empty());
    bench.holds_what_was_filled_in(&bench.open(&given("a")).await.unwrap()).await;
    let same = Rotation::prepare(bench.home.path(), &bench.store, &given("a"), given("a")).await;
    assert!(refusal(same).contains("the one of today"));
}

#[tokio::test]
async fn nothing_of_the_old_seal_is_left_in_the_files_of_the_database() {
    let bench = Bench::new();
    let old = bench.open(&Source::File).await.unwrap();
    bench.fill(&old).await;
    rotate(&bench, &Source::File, &Source::File, 3).await;
    bench.store.close().await;
    let Bench { home, store } = bench;
    drop(store);
    for entry in std::fs::read_dir(home.path()).unwrap() {
        let path = entry.unwrap().path();
        let content = std::fs::read(&path).unwrap();
        let found = content.windows(8).any(|part| part == old.key_id().0);
        assert!(!found, "{}", path.display());
    }
}
