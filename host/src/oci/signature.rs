//! Signatures of artifacts as cosign makes them with a key: ECDSA on P-256 over a small text that
//! names the digest of a manifest, kept in the same repository by the tag `sha256-<digest>.sig`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::SecretKey;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{DerSignature, VerifyingKey};
use p256::pkcs8::LineEnding;
use p256::pkcs8::{DecodePublicKey as _, Document, EncodePrivateKey as _, EncodePublicKey as _};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::model::names::Digest;
use crate::oci::OciError;
use crate::oci::artifact::{Descriptor, Written, parsed, written};
use crate::oci::client::{MANIFEST, Manifest, Repository};
use crate::oci::reference::Reference;

/// The media type of what is signed.
const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Where a signature stands.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// What is signed says that it is this.
const TYPE: &str = "cosign container image signature";
/// The media type of a configuration that nobody reads.
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The largest text that is signed, in bytes.
const LARGEST: usize = 64 * 1024;
/// So many signatures of an artifact are looked at.
const MOST: usize = 50;
/// How much of a fingerprint is shown, in characters.
const SHOWN: usize = 16;

/// A key that signs.
pub struct SigningKey(p256::ecdsa::SigningKey);

/// A key whose signatures count.
#[derive(Clone, Debug)]
pub struct TrustedKey {
    /// What its owner is called here.
    pub name: String,
    key: VerifyingKey,
}

/// A signature that holds, to be held against keys again without a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// What is signed.
    pub payload: String,
    /// ASN.1 in base64.
    pub signature: String,
}

/// Why an artifact does not count as signed.
#[derive(Debug, thiserror::Error)]
pub enum Unsigned {
    /// There is no signature.
    #[error("nobody signed {reference}, and only what is signed by {trusted} is taken here")]
    Missing {
        /// The artifact.
        reference: String,
        /// Whose signature would do.
        trusted: String,
    },
    /// There are some, by others.
    #[error(
        "no signature of {reference} holds for {trusted}: somebody else signed it, or it was forged"
    )]
    Foreign {
        /// The artifact.
        reference: String,
        /// Whose signature would do.
        trusted: String,
    },
    /// A good signature of something else.
    #[error(
        "the signature at {reference} is by {by} and for something else: it was copied from another \
         plugin"
    )]
    Copied {
        /// The artifact.
        reference: String,
        /// Who signed the other one.
        by: String,
    },
    /// The registry.
    #[error(transparent)]
    Registry(#[from] OciError),
}

/// Why a file is no key.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadKey(&'static str);

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// What one signature is worth.
enum Verdict<'a> {
    Holds(&'a TrustedKey),
    Copied(&'a TrustedKey),
    Foreign,
}

impl SigningKey {
    /// A new one.
    pub fn generate() -> Self {
        loop {
            // All but a few numbers at the end of the range are keys.
            let number = Zeroizing::new(rand::random::<[u8; 32]>());
            if let Ok(key) = SecretKey::from_slice(number.as_slice()) {
                return Self(key.into());
            }
        }
    }

    /// One from a PEM file, PKCS#8 or SEC1.
    ///
    /// # Errors
    /// When it is none.
    pub fn of_pem(pem: &str) -> Result<Self, BadKey> {
        if pem.contains("ENCRYPTED") {
            return Err(BadKey(
                "the key is encrypted: give a PKCS#8 key without a password, as \
                 `openssl pkcs8` and `windlass plugin new-key` write it",
            ));
        }
        let key = SecretKey::from_pem(pem.trim());
        key.map(|key| Self(key.into())).map_err(|_secret| {
            BadKey("it is no private key of the curve P-256 in PEM: `windlass plugin new-key` makes one")
        })
    }

    /// Its PEM file, PKCS#8.
    pub fn to_pem(&self) -> Zeroizing<String> {
        self.0.to_pkcs8_pem(LineEnding::LF).unwrap_or_default()
    }

    /// What others know it by.
    pub fn to_public(&self, name: &str) -> TrustedKey {
        TrustedKey { name: name.to_owned(), key: *self.0.verifying_key() }
    }

    /// The signature of an artifact.
    pub fn sign(&self, reference: &Reference, manifest: &Digest) -> Signature {
        let payload = json!({
            "critical": {
                "identity": {
                    "docker-reference": format!("{}/{}", reference.registry, reference.repository),
                },
                "image": { "docker-manifest-digest": manifest },
                "type": TYPE,
            },
            "optional": null,
        });
        let payload = payload.to_string();
        let signature: DerSignature = self.0.sign(payload.as_bytes());
        Signature { payload, signature: STANDARD.encode(signature.as_bytes()) }
    }
}

impl TrustedKey {
    /// One from a PEM file, as cosign and openssl write it.
    ///
    /// # Errors
    /// When it is none.
    pub fn of_pem(name: &str, pem: &str) -> Result<Self, BadKey> {
        let key = VerifyingKey::from_public_key_pem(pem.trim()).map_err(|_error| {
            BadKey(
                "it is no public key of the curve P-256 in PEM, which begins with BEGIN PUBLIC KEY",
            )
        })?;
        Ok(Self { name: name.to_owned(), key })
    }

    /// Its PEM file.
    pub fn to_pem(&self) -> String {
        self.key.to_public_key_pem(LineEnding::LF).unwrap_or_default()
    }

    /// The beginning of the SHA-256 of the key, to be compared with what its owner says.
    pub fn fingerprint(&self) -> String {
        let der = self.key.to_public_key_der();
        let hash = Sha256::digest(der.as_ref().map(Document::as_bytes).unwrap_or_default());
        hex::encode(hash).chars().take(SHOWN).collect()
    }

    fn holds(&self, signature: &Signature) -> bool {
        let bytes = STANDARD.decode(&signature.signature).unwrap_or_default();
        let parsed = DerSignature::from_bytes(bytes.as_slice());
        parsed.is_ok_and(|it| self.key.verify(signature.payload.as_bytes(), &it).is_ok())
    }
}

/// Brings a signature to where others look for it, beside those that are there.
///
/// # Errors
/// When the registry does not take it.
pub async fn put(
    to: &Repository,
    manifest: &Digest,
    signature: &Signature,
) -> Result<(), OciError> {
    let tag = tag_of(manifest);
    let mut layers = match to.manifest(&tag).await? {
        Some(there) => parsed(&to.reference().tagged(&tag), &there)?.layers,
        None => Vec::new(),
    };
    let payload = signature.payload.clone().into_bytes();
    let mut layer = Descriptor::of(PAYLOAD, &payload)?;
    layer.annotations = BTreeMap::from([(SIGNATURE.to_owned(), signature.signature.clone())]);
    let is_there = layers.iter().any(|it| {
        it.digest == layer.digest && it.annotations.get(SIGNATURE) == Some(&signature.signature)
    });
    if is_there {
        return Ok(());
    }
    layers.push(layer);
    let digests: Vec<&Digest> = layers.iter().map(|layer| &layer.digest).collect();
    let config = written(&json!({
        "architecture": "", "os": "", "config": {}, "created": "0001-01-01T00:00:00Z",
        "rootfs": { "type": "layers", "diff_ids": digests },
    }));
    let manifest = Written {
        schema_version: 2,
        media_type: Some(MANIFEST.to_owned()),
        config: Descriptor::of(CONFIG, &config)?,
        layers,
        annotations: BTreeMap::new(),
    };
    to.put_blob("the signature", &payload.into()).await?;
    to.put_blob("the signature's configuration", &config.into()).await?;
    to.put_manifest(&tag, &written(&manifest)).await
}

/// The signature of an artifact that one of the keys made, and the name of that key.
///
/// # Errors
/// When there is none, or the registry does not answer.
pub async fn find(
    from: &Repository,
    artifact: &Manifest,
    keys: &[TrustedKey],
) -> Result<(Signature, String), Unsigned> {
    let reference = from.reference().at(&artifact.digest);
    let Some(list) = from.manifest(&tag_of(&artifact.digest)).await? else {
        return Err(missing(&reference, keys));
    };
    let list = parsed(&reference, &list)?;
    let mut copied = None;
    for layer in list.layers.iter().filter(|it| it.media_type == PAYLOAD).take(MOST) {
        let Some(signature) = layer.annotations.get(SIGNATURE) else { continue };
        let payload = from.blob("a signature", &layer.digest, LARGEST).await?;
        let Ok(payload) = String::from_utf8(payload) else { continue };
        let signature = Signature { payload, signature: signature.clone() };
        match judge(&signature, &artifact.digest, keys) {
            Verdict::Holds(key) => return Ok((signature, key.name.clone())),
            Verdict::Copied(key) => copied = Some(key),
            Verdict::Foreign => {}
        }
    }
    Err(match copied {
        Some(key) => Unsigned::Copied { reference: reference.to_string(), by: named(key) },
        None => foreign(&reference, keys),
    })
}

/// Holds a signature that was found before against the keys of today, and answers whose it is.
///
/// # Errors
/// When it is none of theirs, or for something else.
pub fn check_again(
    reference: &Reference,
    manifest: &Digest,
    signature: Option<&Signature>,
    keys: &[TrustedKey],
) -> Result<String, Unsigned> {
    let signature = signature.ok_or_else(|| missing(reference, keys))?;
    match judge(signature, manifest, keys) {
        Verdict::Holds(key) => Ok(key.name.clone()),
        Verdict::Copied(key) => {
            Err(Unsigned::Copied { reference: reference.to_string(), by: named(key) })
        }
        Verdict::Foreign => Err(foreign(reference, keys)),
    }
}

fn judge<'a>(signature: &Signature, artifact: &Digest, keys: &'a [TrustedKey]) -> Verdict<'a> {
    let Some(key) = keys.iter().find(|key| key.holds(signature)) else { return Verdict::Foreign };
    let payload: Option<Payload> = serde_json::from_str(&signature.payload).ok();
    let is_for_it = payload.is_some_and(|it| {
        it.critical.kind == TYPE && it.critical.image.digest == artifact.as_str()
    });
    if is_for_it { Verdict::Holds(key) } else { Verdict::Copied(key) }
}

fn missing(reference: &Reference, keys: &[TrustedKey]) -> Unsigned {
    Unsigned::Missing { reference: reference.to_string(), trusted: all_named(keys) }
}

fn foreign(reference: &Reference, keys: &[TrustedKey]) -> Unsigned {
    Unsigned::Foreign { reference: reference.to_string(), trusted: all_named(keys) }
}

fn named(key: &TrustedKey) -> String {
    format!("`{}` ({})", key.name, key.fingerprint())
}

fn all_named(keys: &[TrustedKey]) -> String {
    keys.iter().map(named).collect::<Vec<_>>().join(" or ")
}

fn tag_of(manifest: &Digest) -> String {
    format!("{}.sig", manifest.as_str().replace(':', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::digest_of;

    fn reference() -> Reference {
        "oci://ghcr.io/team/shop:1".parse().unwrap()
    }

    fn digest(text: &str) -> Digest {
        digest_of(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_signature_holds_for_its_artifact_and_its_key_alone() {
        let (mine, other) = (SigningKey::generate(), SigningKey::generate());
        let (key, stranger) = (mine.to_public("mine"), other.to_public("other"));
        let signature = mine.sign(&reference(), &digest("a"));
        let check = |digest: &Digest, signature: Option<&Signature>, keys: &[TrustedKey]| {
            check_again(&reference(), digest, signature, keys).map_err(|it| it.to_string())
        };
        let both = [stranger.clone(), key.clone()];
        assert_eq!(check(&digest("a"), Some(&signature), &both).unwrap(), "mine");
        let said = check(&digest("b"), Some(&signature), &both).unwrap_err();
        assert!(said.contains("copied from another plugin"), "{said}");
        let said = check(&digest("a"), Some(&signature), &[stranger]).unwrap_err();
        assert!(said.contains("somebody else signed it"), "{said}");
        let said = check(&digest("a"), None, &both).unwrap_err();
        assert!(said.contains("nobody signed") && said.contains(&key.fingerprint()), "{said}");
        let payload = signature.payload.replace("ghcr.io", "evil.io");
        let forged = Signature { payload, ..signature.clone() };
        assert!(check(&digest("a"), Some(&forged), &both).is_err());
        let broken = Signature { signature: "AAAA".to_owned(), ..signature };
        assert!(check(&digest("a"), Some(&broken), &both).is_err());
    }

    #[test]
    fn keys_go_through_their_files() {
        let key = SigningKey::generate();
        let again = SigningKey::of_pem(&key.to_pem()).unwrap();
        let public = TrustedKey::of_pem("k", &key.to_public("k").to_pem()).unwrap();
        assert_eq!(public.fingerprint(), again.to_public("k").fingerprint());
        assert!(public.holds(&again.sign(&reference(), &digest("a"))));
        assert!(SigningKey::of_pem(&public.to_pem()).is_err());
        assert!(TrustedKey::of_pem("k", &key.to_pem()).is_err());
        let cosign = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----";
        let said = SigningKey::of_pem(cosign).err().unwrap().to_string();
        assert!(said.contains("is encrypted"), "{said}");
    }
}
