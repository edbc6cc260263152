//! Where the vault's key comes from, and which of the keys at hand is the one that the store was
//! sealed with. A wrong key is found out here, at the start, before anything is done with it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tracing::{info, warn};

use crate::storage::{Sealed, Store};
use crate::vault::key::{Key, KeyId};
use crate::vault::passphrase::Recipe;
use crate::vault::{CHECK, CHECKED, Vault, VaultError, files};

/// The file with the key.
pub const KEY_FILE: &str = "key";
/// The file with a passphrase's salt and costs.
pub const RECIPE_FILE: &str = "passphrase.json";
/// The same during a rotation, until everything is sealed with the new key.
pub(super) const NEXT_KEY_FILE: &str = "key.next";
/// The same during a rotation, until everything is sealed with the new key.
pub(super) const NEXT_RECIPE_FILE: &str = "passphrase.json.next";

/// Where the key comes from.
#[derive(Clone, Debug, Default)]
pub enum Source {
    /// The file `key` in the home; made at the first start.
    #[default]
    File,
    /// The key itself, as text. Nothing is written.
    Given(SecretString),
    /// Made of a passphrase; its salt stands in the home.
    Passphrase(SecretString),
}

/// A key at hand, and what people call it.
struct Candidate {
    key: Key,
    name: String,
    /// The file that a rotation leaves it in, which takes the other name when the rotation is
    /// finished.
    unfinished: Option<(&'static str, &'static str)>,
}

/// Opens the vault of this home: with the key of the store, with a new one for a new store.
pub(super) async fn open(
    home: &Path,
    source: &Source,
    store: &Arc<dyn Store>,
) -> Result<Vault, VaultError> {
    let sealed = store.sealed().await?;
    let candidates = candidates(home, source).await?;
    let vault = match key_of(&sealed)? {
        None => Vault::new(match candidates.into_iter().find(|it| it.unfinished.is_none()) {
            Some(candidate) => candidate.key,
            None => make(home, source).await?,
        }),
        Some(wanted) => {
            let chosen = candidates.iter().find(|candidate| candidate.key.id() == wanted);
            let chosen = chosen.ok_or_else(|| refusal(home, source, wanted, &candidates))?;
            if let Some((from, to)) = chosen.unfinished {
                files::rename(home, from, to)?;
                info!("finished a rotation of the vault's key that was cut off");
            }
            Vault::new(chosen.key.clone())
        }
    };
    undo_unfinished(home, source)?;
    check(&vault, store).await?;
    Ok(vault)
}

/// The vault for what is sealed, as it is found: nothing is made, renamed or written. None when
/// nothing is sealed.
///
/// # Errors
/// When none of the keys at hand opens it.
pub async fn look(
    home: &Path,
    source: &Source,
    sealed: &[Sealed],
) -> Result<Option<Vault>, VaultError> {
    let candidates = candidates(home, source).await?;
    let Some(wanted) = key_of(sealed)? else { return Ok(None) };
    let chosen = candidates.iter().find(|candidate| candidate.key.id() == wanted);
    let chosen = chosen.ok_or_else(|| refusal(home, source, wanted, &candidates))?;
    Ok(Some(Vault::new(chosen.key.clone())))
}

/// A new key from this source, kept in files that have these names.
pub(super) async fn renew(
    home: &Path,
    source: &Source,
    key_file: &str,
    recipe_file: &str,
) -> Result<Key, VaultError> {
    match source {
        Source::File => {
            let key = Key::generate();
            let text = key.to_hex();
            let line = [text.as_bytes(), b"\n"].concat();
            files::write(home, key_file, &zeroize::Zeroizing::new(line))?;
            Ok(key)
        }
        Source::Given(text) => given(text),
        Source::Passphrase(passphrase) => {
            let recipe = Recipe::new();
            let key = recipe.key(passphrase).await?;
            recipe.write(home, recipe_file)?;
            Ok(key)
        }
    }
}

async fn make(home: &Path, source: &Source) -> Result<Key, VaultError> {
    renew(home, source, KEY_FILE, RECIPE_FILE).await
}

/// The keys that this source gives: its own, and the one of a rotation that was cut off.
async fn candidates(home: &Path, source: &Source) -> Result<Vec<Candidate>, VaultError> {
    let mut found = Vec::new();
    match source {
        Source::File => {
            for (file, unfinished) in
                [(KEY_FILE, None), (NEXT_KEY_FILE, Some((NEXT_KEY_FILE, KEY_FILE)))]
            {
                let name = format!("the file {}", home.join(file).display());
                let key = key_in(&home.join(file))?;
                found.extend(key.map(|key| Candidate { key, name, unfinished }));
            }
        }
        Source::Given(text) => {
            let name = "WINDLASS_KEY".to_owned();
            found.push(Candidate { key: given(text)?, name, unfinished: None });
        }
        Source::Passphrase(passphrase) => {
            for (file, unfinished) in
                [(RECIPE_FILE, None), (NEXT_RECIPE_FILE, Some((NEXT_RECIPE_FILE, RECIPE_FILE)))]
            {
                let Some(recipe) = Recipe::read(&home.join(file))? else { continue };
                let key = recipe.key(passphrase).await?;
                let name = format!("the passphrase with {}", home.join(file).display());
                found.push(Candidate { key, name, unfinished });
            }
        }
    }
    Ok(found)
}

/// A rotation that came to nothing leaves a key that nothing is sealed with.
fn undo_unfinished(home: &Path, source: &Source) -> Result<(), VaultError> {
    files::remove(home, NEXT_KEY_FILE)?;
    files::remove(home, NEXT_RECIPE_FILE)?;
    let file = home.join(KEY_FILE);
    if !matches!(source, Source::File) && file.exists() {
        warn!(file = %file.display(), "this key is not in use; remove it when no backup needs it");
    }
    Ok(())
}

fn key_in(path: &Path) -> Result<Option<Key>, VaultError> {
    let Some(text) = files::read(path)? else { return Ok(None) };
    Key::parse(&text).map(Some).ok_or_else(|| VaultError::NoKey { path: path.to_owned() })
}

fn given(text: &SecretString) -> Result<Key, VaultError> {
    Key::parse(text.expose_secret().as_bytes()).ok_or(VaultError::BadKey)
}

/// The key that everything is sealed with; none when nothing is.
fn key_of(sealed: &[Sealed]) -> Result<Option<KeyId>, VaultError> {
    let mut keys = BTreeSet::new();
    for value in sealed {
        keys.insert(Vault::key_of(&value.place.name(), &value.bytes)?);
    }
    let mut keys = keys.into_iter();
    match (keys.next(), keys.next()) {
        (Some(one), Some(other)) => Err(VaultError::Mixed { one, other }),
        (first, _) => Ok(first),
    }
}

/// The store says by a value of the vault's own which key is its key, also when nothing else is
/// sealed.
async fn check(vault: &Vault, store: &Arc<dyn Store>) -> Result<(), VaultError> {
    let kept = store.ensure_secret(CHECK, &vault.seal(CHECK, CHECKED.as_bytes())).await?;
    vault.unseal(CHECK, &kept).map(drop)
}

fn refusal(home: &Path, source: &Source, wanted: KeyId, tried: &[Candidate]) -> VaultError {
    let mut told: Vec<String> =
        tried.iter().map(|it| format!("{} (key {})", it.name, it.key.id())).collect();
    let file = home.join(KEY_FILE);
    let shown = file.display();
    match (source, key_in(&file)) {
        (Source::File, Ok(Some(_))) => {}
        (Source::File, _) => told.push(format!("the file {shown} (there is none)")),
        (_, Ok(Some(key))) if key.id() == wanted => {
            told.push(format!(
                "the file {shown} was not tried and is the one: use no other source"
            ));
        }
        (_, Ok(Some(_))) => told.push(format!("the file {shown} was not tried, nor is it the one")),
        (_, _) => {}
    }
    let names = [
        ("WINDLASS_KEY", matches!(source, Source::Given(_))),
        ("a passphrase", matches!(source, Source::Passphrase(_))),
    ];
    for (name, is_given) in names {
        if !is_given {
            told.push(format!("{name} (not given)"));
        }
    }
    if let (Source::Passphrase(_), []) = (source, tried) {
        told.push(format!("{} (there is none)", home.join(RECIPE_FILE).display()));
    }
    VaultError::WrongKey { wanted, tried: told.join("; ") }
}
