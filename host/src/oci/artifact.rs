//! A plugin as an artifact: one manifest, one small configuration, one component, as the CNCF's Wasm
//! artifact layout has them. The same component always makes the same artifact.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::model::names::Digest;
use crate::oci::client::{MANIFEST, Manifest, Repository};
use crate::oci::reference::Reference;
use crate::oci::{OciError, digest_of, not_a_plugin};

/// The media type of the configuration.
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// The media type of the component.
const COMPONENT: &str = "application/wasm";
/// The largest configuration that is read, in bytes.
const LARGEST_CONFIG: usize = 1024 * 1024;
/// When every artifact was made: a true time would make another artifact of the same component.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// What is said of a component.
#[derive(Clone, Debug)]
pub struct About {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does, in a sentence.
    pub description: String,
    /// The names of what it imports.
    pub imports: Vec<String>,
    /// The names of what it exports.
    pub exports: Vec<String>,
}

/// An artifact that can be brought to a registry.
#[derive(Clone, Debug)]
pub struct Package {
    component: Bytes,
    config: Bytes,
    manifest: Vec<u8>,
}

/// An artifact that came from a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The component.
    pub component: Vec<u8>,
    /// Its digest.
    pub digest: Digest,
    /// The manifest that names it.
    pub manifest: Manifest,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Written {
    pub(super) schema_version: u32,
    pub(super) media_type: Option<String>,
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    created: String,
    architecture: String,
    os: String,
    layer_digests: Vec<Digest>,
    component: Option<Interfaces>,
}

#[derive(Serialize, Deserialize)]
struct Interfaces {
    exports: Vec<String>,
    imports: Vec<String>,
    target: Option<String>,
}

impl Descriptor {
    pub(super) fn of(media_type: &str, bytes: &[u8]) -> Result<Self, OciError> {
        Ok(Self {
            media_type: media_type.to_owned(),
            digest: digest_of(bytes)?,
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            annotations: BTreeMap::new(),
        })
    }
}

impl Package {
    /// The artifact of a component.
    ///
    /// # Errors
    /// When a digest is none, which no hash makes.
    pub fn new(component: Vec<u8>, about: About) -> Result<Self, OciError> {
        let layer = Descriptor::of(COMPONENT, &component)?;
        let About { name, version, description, imports, exports } = about;
        let config = Config {
            created: CREATED.to_owned(),
            architecture: "wasm".to_owned(),
            os: "wasip2".to_owned(),
            layer_digests: vec![layer.digest.clone()],
            component: Some(Interfaces { exports, imports, target: None }),
        };
        let config = written(&config);
        let annotations = [("title", name), ("version", version), ("description", description)];
        let annotations = annotations
            .into_iter()
            .map(|(key, value)| (format!("org.opencontainers.image.{key}"), value))
            .collect();
        let manifest = Written {
            schema_version: 2,
            media_type: Some(MANIFEST.to_owned()),
            config: Descriptor::of(CONFIG, &config)?,
            layers: vec![layer],
            annotations,
        };
        let manifest = written(&manifest);
        Ok(Self { component: component.into(), config: config.into(), manifest })
    }

    /// Brings it, and answers the digest of its manifest. What is there already is not sent again.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub async fn push(&self, to: &Repository, tag: &str) -> Result<Digest, OciError> {
        to.put_blob("the component", &self.component).await?;
        to.put_blob("the configuration", &self.config).await?;
        to.put_manifest(tag, &self.manifest).await?;
        Ok(digest_of(&self.manifest)?)
    }
}

/// Fetches an artifact whose component has at most this many bytes.
///
/// # Errors
/// When there is none, it is no plugin, or it is not what its digests say.
pub async fn pull(
    from: &Repository,
    reference: &Reference,
    most: usize,
) -> Result<Pulled, OciError> {
    let pointer = reference.pointer().ok_or_else(|| {
        not_a_plugin(reference, "it names neither a tag nor a digest: add `:` and a version")
    })?;
    let manifest = from.manifest(pointer).await?;
    let manifest =
        manifest.ok_or_else(|| OciError::NotFound { reference: reference.to_string() })?;
    let layer = layer_of(reference, &manifest)?;
    let written = parsed(reference, &manifest)?;
    let config = from.blob("the configuration", &written.config.digest, LARGEST_CONFIG).await?;
    let config: Config = serde_json::from_slice(&config)
        .map_err(|error| not_a_plugin(reference, format!("its configuration: {error}")))?;
    if config.layer_digests != [layer.digest.clone()] {
        return Err(not_a_plugin(reference, "its configuration names another component"));
    }
    let component = from.blob("the component", &layer.digest, most).await?;
    Ok(Pulled { component, digest: layer.digest, manifest })
}

/// The component that a manifest names.
fn layer_of(reference: &Reference, manifest: &Manifest) -> Result<Descriptor, OciError> {
    let written = parsed(reference, manifest)?;
    if written.config.media_type != CONFIG {
        let reason = format!(
            "its configuration is `{}`, and a plugin's is `{CONFIG}`",
            written.config.media_type.escape_debug()
        );
        return Err(not_a_plugin(reference, reason));
    }
    let mut layers = written.layers.into_iter();
    match (layers.next(), layers.next()) {
        (Some(layer), None) if layer.media_type == COMPONENT => Ok(layer),
        _ => Err(not_a_plugin(reference, format!("it has other layers than one `{COMPONENT}`"))),
    }
}

/// The digest of the component that a manifest names.
///
/// # Errors
/// When it is the manifest of something else.
pub fn component_of(reference: &Reference, manifest: &Manifest) -> Result<Digest, OciError> {
    Ok(layer_of(reference, manifest)?.digest)
}

pub(super) fn parsed(reference: &Reference, manifest: &Manifest) -> Result<Written, OciError> {
    serde_json::from_slice(&manifest.bytes).map_err(|error| {
        let of_many = serde_json::from_slice::<serde_json::Value>(&manifest.bytes)
            .is_ok_and(|it| it.get("manifests").is_some());
        let reason = match of_many {
            true => {
                "it is an index of several artifacts: name one of them by its digest".to_owned()
            }
            false => format!("its manifest: {error}"),
        };
        not_a_plugin(reference, reason)
    })
}

/// Plain data always can be written.
pub(super) fn written(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
