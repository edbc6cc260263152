//! The names of an app in the server's zone.

use super::place::Place;
use crate::Failure;
use crate::dns::{self, DnsRecord, NewRecord};
use crate::job::{self, Level};

/// Why a record cannot be made that is no fault of the app: the host has no such zone any more.
const NOT_CONFIGURED: [&str; 4] =
    ["unsupported", "not_found", "provider_not_configured", "not_configured"];

/// The host keeps no longer comment, in characters.
const LONGEST_COMMENT: usize = 100;

/// The remark on the records of an app.
fn remark(app: &str, server: &str) -> String {
    format!("app {app} on {server}")
}

/// Makes a name point at the server; whether that was news.
pub(super) fn publish(place: &Place, app: &str, name: &str) -> Result<bool, Failure> {
    let Some(zone) = place.zone_of(name) else {
        let address = place.ipv4.as_deref().unwrap_or("the server's address");
        say(Level::Warn, &format!("{name} is in no zone of this host: point it at {address}"));
        return Ok(false);
    };
    match upsert(place, app, zone, name) {
        Err(failure) if NOT_CONFIGURED.contains(&failure.code.as_str()) => {
            let address = place.ipv4.as_deref().unwrap_or("the server's address");
            let message = format!(
                "{name} gets no record: {}; point it at {address} by hand, or give this host the \
                 zone and run this again",
                failure.message
            );
            say(Level::Warn, &message);
            Ok(false)
        }
        ended => ended,
    }
}

fn upsert(place: &Place, app: &str, zone: &str, name: &str) -> Result<bool, Failure> {
    let (kind, content) = match (&place.target, &place.ipv4) {
        (Some(target), _) => ("CNAME", target),
        (None, Some(ipv4)) => ("A", ipv4),
        (None, None) => {
            let message = format!("`{}` has no address that {name} could have", place.server);
            return Err(Failure::new("no_ipv4", message));
        }
    };
    let remark = remark(app, &place.server);
    for there in dns::lookup(zone, name)?.iter().filter(|it| it.ours) {
        check_owner(there, &remark)?;
        if there.kind == kind && there.content.trim_end_matches('.') == content {
            say(Level::Info, &format!("nothing to do: {kind} {name} is {content}"));
            return Ok(false);
        }
    }
    dns::upsert(&NewRecord {
        zone: zone.to_owned(),
        name: name.to_owned(),
        kind: kind.to_owned(),
        content: content.clone(),
        options: vec![("proxied".to_owned(), "false".to_owned()), ("comment".to_owned(), remark)],
    })?;
    say(Level::Info, &format!("{kind} {name} is {content}"));
    Ok(true)
}

/// Refuses to take a name from another app or server of this host.
fn check_owner(record: &DnsRecord, remark: &str) -> Result<(), Failure> {
    if is_remark(record, remark) {
        return Ok(());
    }
    let message = format!(
        "{} {} was made for something else ({}): remove that first, or use another domain",
        record.kind,
        record.name,
        comment(record).unwrap_or("without a comment")
    );
    Err(Failure::new("conflict", message))
}

/// Whether the record has this remark after the host's own two words. Comments are cut off at the
/// length that a zone takes.
fn is_remark(record: &DnsRecord, remark: &str) -> bool {
    let Some(comment) = comment(record) else { return false };
    let Some(said) = comment.splitn(3, ' ').nth(2) else { return false };
    said == remark || (comment.chars().count() >= LONGEST_COMMENT && remark.starts_with(said))
}

/// Deletes the records of this name that were made for this app; whether there were any.
pub(super) fn withdraw(place: &Place, app: &str, name: &str) -> Result<bool, Failure> {
    let Some(zone) = place.zone_of(name) else { return Ok(false) };
    let records = match dns::lookup(zone, name) {
        Ok(records) => records,
        Err(failure) if NOT_CONFIGURED.contains(&failure.code.as_str()) => {
            say(Level::Warn, &format!("{name} is left, remove it by hand: {}", failure.message));
            return Ok(false);
        }
        Err(failure) => return Err(failure),
    };
    let remark = remark(app, &place.server);
    let is_ours = |it: &&DnsRecord| it.ours && is_remark(it, &remark);
    let mut changed = false;
    for record in records.iter().filter(is_ours) {
        dns::delete(zone, &record.id)?;
        say(Level::Info, &format!("{} {name} is gone", record.kind));
        changed = true;
    }
    Ok(changed)
}

fn comment(record: &DnsRecord) -> Option<&str> {
    let mut properties = record.properties.iter();
    properties.find_map(|(name, value)| (name == "comment").then_some(value.as_str()))
}

fn say(level: Level, line: &str) {
    job::log(level, line);
}
