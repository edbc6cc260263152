//! `windlass plugin new-key`, `sign` and `trust`: who made a plugin, and whose word counts here.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::connection::usage;
use crate::cli::plugin::author::{file, refused};
use crate::cli::plugin::registry::{self, Access};
use crate::cli::terminal::Terminal;
use crate::cli::{Exit, Refusal};
use crate::config::{Config, Flags};
use crate::error::sentence;
use crate::oci::reference::Reference;
use crate::oci::signature::{self, SigningKey, TrustedKey, Unsigned};
use crate::oci::{OciError, Repository};

/// Where the keys are, in the home.
const FOLDER: &str = "trust";
/// What their files end with.
const ENDING: &str = "pub";
/// The largest file of a key, in bytes.
const LARGEST: u64 = 16 * 1024;

/// What can be done with keys.
#[derive(clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Sign a plugin that is in a registry, so that others can know whose it is
    #[command(
        after_help = "Examples:\n  windlass plugin sign oci://ghcr.io/team/my-app:1.0.0 --key team.key\n\n\
            The signature is cosign's: `cosign verify --key team.pub --insecure-ignore-tlog` reads it."
    )]
    Sign {
        /// Where it is
        reference: String,
        /// The private key, as `windlass plugin new-key` and openssl write it
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        #[command(flatten)]
        access: Access,
    },
    /// Make a key to sign plugins with: NAME.key is secret, NAME.pub is for everybody
    #[command(after_help = "Examples:\n  windlass plugin new-key team")]
    NewKey {
        /// What the files are called
        name: String,
    },
    /// Say whose plugins may come from registries; without any key, everybody's may
    #[command(
        subcommand,
        after_help = "Examples:\n  windlass plugin trust add team team.pub\n  windlass plugin trust list"
    )]
    Trust(Trust),
}

/// Whose word counts.
#[derive(clap::Subcommand)]
pub(in crate::cli) enum Trust {
    /// Take plugins from registries only when this key, or another one here, signed them
    #[command(after_help = "Examples:\n  windlass plugin trust add team team.pub")]
    Add {
        /// What its owner is called here
        name: String,
        /// The public key, in PEM
        file: PathBuf,
    },
    /// List the keys
    #[command(after_help = "Examples:\n  windlass plugin trust list")]
    List,
    /// Let a key count no more
    #[command(after_help = "Examples:\n  windlass plugin trust remove team")]
    Remove {
        /// Its name
        name: String,
    },
}

/// Does it.
pub(super) async fn run(
    command: Command,
    flags: &Flags,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    match command {
        Command::Sign { reference, key, access } => {
            let key = signing_key(&key)?;
            let reference: Reference = reference.parse()?;
            sign_there(&reference, &key, &access, terminal).await
        }
        Command::NewKey { name } => new_key(&name, terminal),
        Command::Trust(Trust::Add { name, file }) => add(&name, &file, flags, terminal),
        Command::Trust(Trust::List) => list(flags, terminal),
        Command::Trust(Trust::Remove { name }) => remove(&name, flags, terminal),
    }
}

/// A private key from its file.
pub(super) fn signing_key(path: &Path) -> Result<SigningKey, Refusal> {
    let pem = zeroize::Zeroizing::new(read(path)?);
    SigningKey::of_pem(&pem).map_err(|why| bad(path, &why))
}

/// Whose signatures count: this file's where one is named, else those of the home; nobody is asked
/// for one where there are none.
pub(super) fn keys(verify_key: Option<&Path>, flags: &Flags) -> Result<Vec<TrustedKey>, Refusal> {
    let Some(path) = verify_key else { return trusted(&folder(flags)?) };
    let key = TrustedKey::of_pem(&path.display().to_string(), &read(path)?);
    Ok(vec![key.map_err(|why| bad(path, &why))?])
}

/// Signs what a registry has.
pub(super) async fn sign(
    at: &Repository,
    reference: &Reference,
    key: &SigningKey,
) -> Result<Reference, Refusal> {
    let pointer = reference.pointer().ok_or_else(|| {
        Refusal::new(Exit::Usage, "Say which: add `:` and a version to the reference.")
    })?;
    let manifest = at.manifest(pointer).await?;
    let manifest =
        manifest.ok_or_else(|| OciError::NotFound { reference: reference.to_string() })?;
    let signature = key.sign(reference, &manifest.digest);
    signature::put(at, &manifest.digest, &signature).await?;
    Ok(reference.at(&manifest.digest))
}

async fn sign_there(
    reference: &Reference,
    key: &SigningKey,
    access: &Access,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let signed = sign(&registry::open(reference, access)?, reference, key).await?;
    let fingerprint = key.to_public("").fingerprint();
    if terminal.is_json() {
        terminal.json(&json!({ "reference": signed.to_string(), "key": fingerprint }));
    } else {
        terminal.say(&format!("{signed} is signed by the key {fingerprint}."));
    }
    Ok(())
}

fn new_key(name: &str, terminal: &Terminal) -> Result<(), Refusal> {
    check(name)?;
    let key = SigningKey::generate();
    let (secret, public) = (format!("{name}.key"), format!("{name}.{ENDING}"));
    for path in [&secret, &public] {
        if Path::new(path).exists() {
            return Err(refused(&format!("There is `{path}` already: choose another name.")));
        }
    }
    write(Path::new(&secret), &key.to_pem(), 0o600)?;
    let shown = key.to_public(name);
    write(Path::new(&public), &shown.to_pem(), 0o644)?;
    let fingerprint = shown.fingerprint();
    if terminal.is_json() {
        terminal.json(&json!({ "key": secret, "public_key": public, "fingerprint": fingerprint }));
    } else {
        terminal.say(&format!(
            "{secret} is secret: keep it. {public} is for everybody; its fingerprint is \
             {fingerprint}."
        ));
    }
    Ok(())
}

fn add(name: &str, path: &Path, flags: &Flags, terminal: &Terminal) -> Result<(), Refusal> {
    check(name)?;
    let key = TrustedKey::of_pem(name, &read(path)?).map_err(|why| bad(path, &why))?;
    let folder = folder(flags)?;
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.map_err(|error| file("make", &folder, &error))?;
    let kept = folder.join(format!("{name}.{ENDING}"));
    if kept.exists() {
        return Err(refused(&format!("There is a key `{name}` already: remove it first."))
            .with_next(format!("windlass plugin trust remove {name}")));
    }
    write(&kept, &key.to_pem(), 0o600)?;
    let fingerprint = key.fingerprint();
    if terminal.is_json() {
        terminal.json(&json!({ "name": name, "fingerprint": fingerprint }));
    } else {
        terminal.say(&format!(
            "From now on plugins come from registries only when `{name}` ({fingerprint}), or \
             another key of `windlass plugin trust list`, signed them."
        ));
    }
    Ok(())
}

fn list(flags: &Flags, terminal: &Terminal) -> Result<(), Refusal> {
    let keys = trusted(&folder(flags)?)?;
    if terminal.is_json() {
        let keys: Vec<_> = keys
            .iter()
            .map(|key| json!({ "name": key.name, "fingerprint": key.fingerprint() }))
            .collect();
        terminal.json(&json!({ "keys": keys }));
        return Ok(());
    }
    if keys.is_empty() {
        terminal.say("There are no keys: plugins come from registries whoever made them.");
        return Ok(());
    }
    let rows: Vec<[String; 2]> =
        keys.iter().map(|key| [key.name.clone(), key.fingerprint()]).collect();
    terminal.table(["NAME", "FINGERPRINT"], &rows);
    Ok(())
}

fn remove(name: &str, flags: &Flags, terminal: &Terminal) -> Result<(), Refusal> {
    check(name)?;
    let path = folder(flags)?.join(format!("{name}.{ENDING}"));
    if !path.exists() {
        return Err(
            refused(&format!("There is no key `{name}`.")).with_next("windlass plugin trust list")
        );
    }
    fs::remove_file(&path).map_err(|error| file("remove", &path, &error))?;
    if terminal.is_json() {
        terminal.json(&json!({ "name": name }));
    } else {
        terminal.say(&format!("`{name}` counts no more; what is installed stays."));
    }
    Ok(())
}

fn folder(flags: &Flags) -> Result<PathBuf, Refusal> {
    Ok(Config::read(flags).map_err(|error| usage(&error))?.home.join(FOLDER))
}

/// The keys of a folder, by name. One that cannot be read is no reason to trust everybody.
fn trusted(folder: &Path) -> Result<Vec<TrustedKey>, Refusal> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file("read", folder, &error)),
    };
    let mut keys = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| file("read", folder, &error))?.path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            keys.push(TrustedKey::of_pem(&name, &read(&path)?).map_err(|why| bad(&path, &why))?);
        }
    }
    keys.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(keys)
}

fn read(path: &Path) -> Result<String, Refusal> {
    let length = fs::metadata(path).map_err(|error| file("read", path, &error))?.len();
    if length > LARGEST {
        return Err(refused(&format!("{} is no key: it has {length} bytes.", path.display())));
    }
    fs::read_to_string(path).map_err(|error| file("read", path, &error))
}

fn write(path: &Path, pem: &str, mode: u32) -> Result<(), Refusal> {
    let written = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = written.and_then(|mut file| {
        file.write_all(pem.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| file("write", path, &error))
}

fn check(name: &str) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if (1..=60).contains(&name.len()) && name.chars().all(allowed) && !name.starts_with(['.', '-'])
    {
        return Ok(());
    }
    let shown: String = name.chars().take(60).collect();
    let message = format!(
        "`{}` is no name of a key: use 1 to 60 letters, digits, `-`, `_` and `.`.",
        shown.escape_debug()
    );
    Err(Refusal::new(Exit::Usage, message))
}

fn bad(path: &Path, why: &signature::BadKey) -> Refusal {
    refused(&format!("{} cannot be used: {why}.", path.display()))
}

impl From<Unsigned> for Refusal {
    fn from(error: Unsigned) -> Self {
        let refusal = Self::new(Exit::Refused, sentence(&error.to_string()));
        match error {
            Unsigned::Registry(error) => error.into(),
            _ => refusal.with_next("windlass plugin trust list"),
        }
    }
}
