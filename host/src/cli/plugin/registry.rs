//! `windlass plugin push`, `pull`: plugins in OCI registries. None of it needs a host.

use std::fs;
use std::path::PathBuf;

use secrecy::SecretString;
use serde_json::json;

use crate::cli::connection::usage;
use crate::cli::plugin::author::{file, refused};
use crate::cli::plugin::{table_of_grants, trust};
use crate::cli::terminal::{Terminal, plain};
use crate::cli::{Exit, Refusal};
use crate::config::{self, Config, Flags};
use crate::error::sentence;
use crate::oci::credentials::{Credentials, Login};
use crate::oci::reference::Reference;
use crate::oci::signature::{self, Signature, SigningKey, TrustedKey};
use crate::oci::{self, About, OciError, Options, Package, Pulled, Repository};
use crate::plugins::plugin::Plugin;

/// The longest password that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// What can be done with a registry.
#[derive(clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Bring a plugin to an OCI registry
    #[command(
        after_help = "Examples:\n  windlass plugin push my-app.wasm oci://ghcr.io/team/my-app\n  windlass plugin push my-app.wasm oci://localhost:5000/my-app:1.0.0"
    )]
    Push {
        /// The plugin
        file: PathBuf,
        /// Where it goes; its version is the tag where none is said
        reference: String,
        /// Sign it with this private key, as `windlass plugin sign` does
        #[arg(long, value_name = "FILE")]
        sign_key: Option<PathBuf>,
        #[command(flatten)]
        access: Access,
    },
    /// Fetch a plugin from an OCI registry, and install nothing
    #[command(
        after_help = "Examples:\n  windlass plugin pull oci://ghcr.io/team/my-app:1.0.0\n  windlass plugin pull oci://ghcr.io/team/my-app:1.0.0 --output my-app.wasm"
    )]
    Pull {
        /// Where it is
        reference: String,
        /// Where it goes; `<name>.wasm` where nothing is said
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Take it only when this key signed it, whatever keys the home trusts
        #[arg(long, value_name = "FILE")]
        verify_key: Option<PathBuf>,
        #[command(flatten)]
        access: Access,
    },
}

/// How a registry is spoken to.
#[derive(clap::Args)]
pub(in crate::cli) struct Access {
    /// Who logs in; what `docker login` kept where nothing is said
    #[arg(long, value_name = "NAME", requires = "password_stdin")]
    username: Option<String>,
    /// Read the password, or a token, from standard input
    #[arg(long, requires = "username")]
    password_stdin: bool,
    /// Speak to the registry without TLS; one on this machine is spoken to so anyway
    #[arg(long)]
    plain_http: bool,
}

/// A plugin that came from a registry, and where from.
pub(super) struct Fetched {
    /// What it says of itself.
    pub(super) plugin: Plugin,
    /// What came.
    pub(super) pulled: Pulled,
    /// Where it is, by the digest of its manifest.
    pub(super) reference: Reference,
    /// The signature that counted, and whose it is; none where nobody asks for one.
    pub(super) signed: Option<(Signature, String)>,
}

/// Does it.
pub(super) async fn run(
    command: Command,
    flags: &Flags,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    match command {
        Command::Push { file, reference, sign_key, access } => {
            let key = sign_key.map(|path| trust::signing_key(&path)).transpose()?;
            push(&file, &reference.parse()?, key.as_ref(), &access, terminal).await
        }
        Command::Pull { reference, output, verify_key, access } => {
            let keys = trust::keys(verify_key.as_deref(), flags)?;
            let config = Config::read(flags).map_err(|error| usage(&error))?;
            let largest = config.limits.component_bytes;
            let fetched = fetch(&reference.parse()?, &access, &keys, largest).await?;
            keep(&fetched, output, terminal)
        }
    }
}

/// Fetches a plugin and reads what it says of itself. Where there are keys, one of them has to have
/// signed it.
pub(super) async fn fetch(
    reference: &Reference,
    access: &Access,
    keys: &[TrustedKey],
    largest: usize,
) -> Result<Fetched, Refusal> {
    let from = open(reference, access)?;
    let pulled = oci::pull(&from, reference, largest).await?;
    let signed = match keys {
        [] => None,
        keys => Some(signature::find(&from, &pulled.manifest, keys).await?),
    };
    let plugin = Plugin::read(pulled.component.clone());
    let plugin = plugin.map_err(|error| refused(&sentence(&error.to_string())))?;
    let reference = reference.at(&pulled.manifest.digest);
    Ok(Fetched { plugin, pulled, reference, signed })
}

/// Tells what came from where, and what it asks for.
pub(super) fn tell(fetched: &Fetched, terminal: &Terminal) {
    let descriptor = &fetched.plugin.descriptor;
    terminal.say(&format!(
        "`{}` {}: {}\n  from        {}\n  component   {}\n  size        {} bytes",
        descriptor.name,
        descriptor.version,
        plain(&descriptor.title),
        fetched.reference,
        fetched.pulled.digest,
        fetched.pulled.component.len(),
    ));
    if let Some((_, by)) = &fetched.signed {
        terminal.say(&format!("  signed by   {by}"));
    }
    table_of_grants(&[("asks for", Some(&json!(descriptor.grants)))], terminal);
}

fn keep(fetched: &Fetched, output: Option<PathBuf>, terminal: &Terminal) -> Result<(), Refusal> {
    let Fetched { plugin, pulled, reference, signed } = fetched;
    let name = &plugin.descriptor.name;
    let output = output.unwrap_or_else(|| PathBuf::from(format!("{name}.wasm")));
    fs::write(&output, &pulled.component).map_err(|error| file("write", &output, &error))?;
    if terminal.is_json() {
        terminal.json(&json!({
            "file": output,
            "name": name,
            "version": plugin.descriptor.version,
            "reference": reference.to_string(),
            "digest": pulled.digest,
            "bytes": pulled.component.len(),
            "grants": plugin.descriptor.grants,
            "signed_by": signed.as_ref().map(|(_, by)| by),
        }));
        return Ok(());
    }
    tell(fetched, terminal);
    terminal.say(&format!("It is in {}; nothing is installed.", output.display()));
    Ok(())
}

async fn push(
    path: &PathBuf,
    reference: &Reference,
    key: Option<&SigningKey>,
    access: &Access,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    if reference.digest.is_some() {
        return Err(Refusal::new(Exit::Usage, "A digest follows from the plugin: name a tag."));
    }
    let component = fs::read(path).map_err(|error| file("read", path, &error))?;
    let plugin = Plugin::read(component.clone());
    let plugin = plugin.map_err(|error| refused(&sentence(&error.to_string())))?;
    plugin.check_contract().map_err(|error| refused(&sentence(&error.to_string())))?;
    let names = |names: Result<Vec<String>, packing::PackError>| {
        names.map_err(|error| refused(&sentence(&error.to_string())))
    };
    let descriptor = &plugin.descriptor;
    let about = About {
        name: descriptor.name.clone(),
        version: descriptor.version.to_string(),
        description: descriptor.description.clone(),
        imports: names(packing::component::imports(&component))?,
        exports: names(packing::component::exports(&component))?,
    };
    let tag = reference.tag.clone().unwrap_or_else(|| Reference::tag_of(&about.version));
    let reference = reference.tagged(&tag);
    let package = Package::new(component, about)?;
    let to = open(&reference, access)?;
    let digest = package.push(&to, &tag).await?;
    if let Some(key) = key {
        trust::sign(&to, &reference.at(&digest), key).await?;
    }
    if terminal.is_json() {
        terminal.json(&json!({
            "reference": reference.to_string(),
            "manifest_digest": digest,
            "digest": plugin.digest,
            "signed": key.is_some(),
        }));
    } else {
        let signed = if key.is_some() { ", signed" } else { "" };
        terminal.say(&format!(
            "`{}` {} is at {}{signed}.",
            descriptor.name,
            descriptor.version,
            reference.at(&digest)
        ));
    }
    Ok(())
}

/// The repository of a reference, with what there is to be let in with.
pub(super) fn open(reference: &Reference, access: &Access) -> Result<Repository, Refusal> {
    let credentials = match (&access.username, config::docker_folder()) {
        (Some(username), _) => {
            let password = password()?;
            Credentials::given(Login { username: username.clone(), password })
        }
        (None, Some(folder)) => Credentials::of_docker(&folder, &reference.registry)?,
        (None, None) => Credentials::default(),
    };
    Ok(Repository::open(reference, Options { plain_http: access.plain_http, credentials })?)
}

/// The first line of standard input.
fn password() -> Result<SecretString, Refusal> {
    use std::io::Read as _;
    let mut text = zeroize::Zeroizing::new(String::new());
    let read = std::io::stdin().take(LONGEST).read_to_string(&mut text);
    read.map_err(|error| refused(&format!("The password cannot be read: {error}.")))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(SecretString::from(line)),
        _ => Err(Refusal::new(Exit::Usage, "There is no password on standard input.")),
    }
}

impl From<OciError> for Refusal {
    fn from(error: OciError) -> Self {
        let exit = match error {
            OciError::Reference(_) => Exit::Usage,
            _ => Exit::Refused,
        };
        Self::new(exit, sentence(&error.to_string()))
    }
}
