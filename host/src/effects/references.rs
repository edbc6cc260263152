//! References to secrets in what a plugin hands over, and the values in their place: put there at
//! the last moment, after the request was journaled, and masked in all that comes back.

use std::collections::BTreeMap;
use std::ops::Range;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::effects::context::JobContext;
use crate::model::failure::Failure;
use crate::model::names::ServerName;
use crate::model::secret::{CLOSING, OPENING, Reference};
use crate::storage::Store;
use crate::vault::Vault;
use crate::vault::masks::Masks;

/// What stands for every value in a rehearsal, which needs none of them.
pub const PLACEHOLDER: &str = "00000000-nothing-real-in-a-rehearsal";

/// A reference is not longer than this.
const LONGEST: usize = 300;

/// The most references in one text or file, and the most bytes that it has with the values in them:
/// a value may be a hundred times as long as what stands for it.
const MOST: (usize, usize) = (10_000, 16 * 1024 * 1024);

/// The references in a text or file.
///
/// # Errors
/// `invalid_argument` when one begins that is none.
pub fn find(content: &[u8]) -> Result<Vec<Reference>, Failure> {
    Ok(places(content)?.into_iter().map(|(_, reference)| reference).collect())
}

/// Refuses references where a value would be seen by others.
///
/// # Errors
/// `secret_exposed` when there is one.
pub fn refuse(text: &str, place: &str) -> Result<(), Failure> {
    if !text.contains(OPENING) {
        return Ok(());
    }
    let message = format!(
        "a secret may not stand in {place}, where every user of the server could read it in the \
         list of processes: hand it over on standard input, or upload it as a file"
    );
    Err(Failure::unsafe_to_retry("secret_exposed", message))
}

/// The content with the values in place of the references.
///
/// # Errors
/// `not_found` for a secret that was not made.
pub async fn substitute(job: &JobContext, content: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let places = places(content)?;
    let mut values: BTreeMap<Reference, SecretString> = BTreeMap::new();
    for (_, reference) in &places {
        if !values.contains_key(reference) {
            values.insert(reference.clone(), value(job, reference).await?);
        }
    }
    let mut filled = Zeroizing::new(Vec::with_capacity(content.len()));
    let mut done = 0;
    for (range, reference) in places {
        filled.extend_from_slice(content.get(done..range.start).unwrap_or_default());
        let value = values.get(&reference).map(ExposeSecret::expose_secret).unwrap_or_default();
        if filled.len().saturating_add(value.len()) > MOST.1 {
            return Err(too_many());
        }
        filled.extend_from_slice(value.as_bytes());
        done = range.end;
    }
    filled.extend_from_slice(content.get(done..).unwrap_or_default());
    Ok(filled)
}

/// The same of a text that stays one value, such as a header or a variable.
///
/// # Errors
/// As [`substitute`].
pub async fn substitute_text(job: &JobContext, text: &str) -> Result<SecretString, Failure> {
    let filled = substitute(job, text.as_bytes()).await?;
    let text = std::str::from_utf8(&filled);
    text.map(SecretString::from).map_err(|error| Failure::safe("internal", error.to_string()))
}

/// The value of a secret, masked from now on.
pub(super) async fn value(
    job: &JobContext,
    reference: &Reference,
) -> Result<SecretString, Failure> {
    let name = reference.kept_as();
    let kept = job.outside.store.secret(&name).await;
    let kept = kept.map_err(|error| unreadable(&name, &error))?;
    let sealed = kept.ok_or_else(|| {
        let message = format!("there is no secret `{reference}`: make it with `secrets.ensure`");
        Failure::safe("not_found", message)
    })?;
    if job.outside.is_rehearsal {
        return Ok(SecretString::from(PLACEHOLDER));
    }
    let opened = job.outside.vault.unseal(&name, &sealed);
    let value = opened.map_err(|error| unreadable(&name, &error))?;
    job.masks().add(&value);
    Ok(value)
}

/// Masks everything that is kept about a server: its plugins' secrets and its keys.
///
/// # Errors
/// `unavailable` when they cannot be read.
pub async fn mask_server(
    store: &dyn Store,
    vault: &Vault,
    server: &ServerName,
    masks: &Masks,
) -> Result<(), Failure> {
    let prefix = format!("server/{server}/");
    let kept = store.secrets(&prefix).await.map_err(|error| unreadable(&prefix, &error))?;
    for (name, sealed) in kept {
        let value = vault.unseal(&name, &sealed).map_err(|error| unreadable(&name, &error))?;
        masks.add(&value);
    }
    Ok(())
}

fn unreadable(name: &str, error: &dyn std::error::Error) -> Failure {
    Failure::safe("unavailable", format!("the host's secret `{name}` cannot be read: {error}"))
}

/// Where references stand, in order.
fn places(content: &[u8]) -> Result<Vec<(Range<usize>, Reference)>, Failure> {
    let mut found = Vec::new();
    let mut from = 0;
    let opening = OPENING.as_bytes();
    while let Some(at) = position(content.get(from..).unwrap_or_default(), opening) {
        let start = from + at;
        let rest = content.get(start..).unwrap_or_default();
        let length = rest.iter().take(LONGEST).position(|&byte| byte == CLOSING as u8);
        let end = start + length.map_or(LONGEST.min(rest.len()), |length| length + 1);
        let text = String::from_utf8_lossy(content.get(start..end).unwrap_or_default());
        let reference = text.parse::<Reference>();
        let reference = reference
            .map_err(|error| Failure::unsafe_to_retry("invalid_argument", error.to_string()))?;
        if found.len() >= MOST.0 {
            return Err(too_many());
        }
        found.push((start..end, reference));
        from = end;
    }
    Ok(found)
}

fn too_many() -> Failure {
    let (references, bytes) = MOST;
    let message = format!(
        "there are more than {references} references to secrets, or more than {} MiB with their \
         values",
        bytes / (1024 * 1024)
    );
    Failure::unsafe_to_retry("too_large", message)
}

fn position(content: &[u8], wanted: &[u8]) -> Option<usize> {
    content.windows(wanted.len()).position(|part| part == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_in_binary_content_too() {
        let content = b"\xff\x00a=${secret:web-1/db/password}\n${secret:web-1/x.bcrypt}";
        let found: Vec<String> = find(content).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(found, ["${secret:web-1/db/password}", "${secret:web-1/x.bcrypt}"]);
        assert!(find(b"$HOME ${other} secret").unwrap().is_empty());
    }

    #[test]
    fn what_begins_like_a_reference_and_is_none_is_refused() {
        for content in ["${secret:}", "${secret:web-1/../x}", "${secret:web-1/a", "${secret:"] {
            let refused = find(content.as_bytes()).unwrap_err();
            assert_eq!(refused.code, "invalid_argument", "{content}");
        }
        let long = format!("${{secret:web-1/{}", "a".repeat(1000));
        assert!(find(long.as_bytes()).is_err());
    }

    #[test]
    fn a_file_of_nothing_but_references_is_refused() {
        assert_eq!(find("${secret:a/b}".repeat(9_000).as_bytes()).unwrap().len(), 9_000);
        let refused = find("${secret:a/b}".repeat(600_000).as_bytes()).unwrap_err();
        assert_eq!(refused.code, "too_large");
    }

    #[test]
    fn a_command_line_takes_no_secret() {
        assert!(refuse("echo $HOME", "a command line").is_ok());
        let refused = refuse("echo ${secret:web-1/a}", "a command line").unwrap_err();
        assert_eq!(refused.code, "secret_exposed");
    }
}
