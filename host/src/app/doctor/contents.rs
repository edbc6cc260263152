//! What is in the database: secrets and the key to them, providers, jobs that wait, its newest time.

use jiff::{SignedDuration, Timestamp};

use crate::app::doctor::Check;
use crate::config::Config;
use crate::error::sentence;
use crate::model::job::JobStatus;
use crate::model::names::{JobId, ProviderKind};
use crate::storage::sqlite::examination::{Contents, Examination, Waiting};
use crate::storage::{Place, ProviderConfig};
use crate::vault::{Vault, source};

/// How far a clock may seem to be behind.
const DRIFT: SignedDuration = SignedDuration::from_secs(60);

/// All that is told of it.
pub(super) async fn of(config: &Config, found: &Examination, is_running: bool) -> Vec<Check> {
    let contents = match &found.contents {
        Ok(contents) => contents,
        Err(error) => {
            let found = format!("what is in the database cannot be read: {error}");
            return vec![Check::problem("contents", found, "windlass restore FILE")];
        }
    };
    let vault = source::look(&config.home, &config.key, &contents.sealed).await;
    let mut checks = Vec::new();
    let vault = match vault {
        Ok(Some(vault)) => {
            checks.push(key(&vault, contents));
            Some(vault)
        }
        Ok(None) => {
            checks.push(Check::ok("key", "nothing is sealed yet"));
            None
        }
        Err(error) => {
            let advice = "put the key of this database back (from a backup), or name its source";
            checks.push(Check::problem("key", sentence(&error.to_string()), advice));
            None
        }
    };
    checks.push(providers(&contents.providers, vault.as_ref()));
    checks.extend(contents.jobs.iter().map(|waiting| jobs(waiting, is_running)));
    checks.push(clock(contents.newest, Timestamp::now()));
    checks
}

/// Whether every value opens.
fn key(vault: &Vault, contents: &Contents) -> Check {
    let mut broken = Vec::new();
    for value in &contents.sealed {
        let name = value.place.name();
        if vault.unseal(&name, &value.bytes).is_err() {
            broken.push(name);
        }
    }
    let (count, id) = (contents.sealed.len(), vault.key_id());
    if broken.is_empty() {
        return Check::ok("key", format!("{id} opens all {count} secrets"));
    }
    let found =
        format!("{id} does not open {} of {count} secrets: {}", broken.len(), broken.join(", "));
    Check::problem("key", found, "restore a backup of the database that belongs to this key")
}

/// Whether each has the token that it needs.
fn providers(configured: &[ProviderConfig], vault: Option<&Vault>) -> Check {
    let mut told = Vec::new();
    let mut missing = None;
    for provider in configured {
        let kind = provider.kind;
        let needs = !matches!(kind, ProviderKind::Docker | ProviderKind::Sandbox);
        let opens = |token: &Vec<u8>| {
            vault.is_some_and(|it| it.unseal(&Place::ProviderToken(kind).name(), token).is_ok())
        };
        let token = match &provider.token {
            Some(token) if opens(token) => "a token",
            Some(_) => "a token that cannot be opened",
            None if needs => "no token",
            None => "no token needed",
        };
        if needs && token != "a token" {
            missing.get_or_insert(kind);
        }
        let default = if provider.default { ", default" } else { "" };
        told.push(format!("{kind} ({token}{default})"));
    }
    let found = if told.is_empty() { "none but the sandbox".to_owned() } else { told.join(", ") };
    match missing {
        Some(kind) => {
            let advice = format!("windlass config provider {kind} < token-file");
            Check::problem("providers", found, advice)
        }
        None => Check::ok("providers", found),
    }
}

/// Jobs that wait for somebody.
fn jobs(waiting: &Waiting, is_running: bool) -> Check {
    let Waiting { status, count, oldest } = waiting;
    let name = match status {
        JobStatus::Queued => "queued jobs",
        JobStatus::Running => "running jobs",
        _ => "uncertain jobs",
    };
    if *count == 0 {
        return Check::ok(name, "none");
    }
    let ids: Vec<&str> = oldest.iter().map(JobId::as_str).collect();
    let more = if u64::try_from(ids.len()).is_ok_and(|it| it < *count) { ", …" } else { "" };
    let found = format!("{count}: {}{more}", ids.join(", "));
    match (status, is_running) {
        (JobStatus::Uncertain, _) => {
            let advice = "see what is there, then `windlass job retry ID --resolve happened` or \
                          `did_not_happen`";
            Check::warn(name, found, advice)
        }
        (_, true) => Check::ok(name, found),
        (_, false) => Check::warn(name, found, "no host runs: `windlass serve` goes on with them"),
    }
}

/// Whether time goes forward. Leases, tokens of others and certificates depend on it.
fn clock(newest: Option<Timestamp>, now: Timestamp) -> Check {
    match newest {
        Some(newest) if newest.duration_since(now) > DRIFT => {
            let found = format!("it is {now} here, and the database has something of {newest}");
            Check::problem("clock", found, "set this machine's clock (timedatectl, chrony)")
        }
        _ => Check::ok("clock", format!("{now}, after all that is in the database")),
    }
}
