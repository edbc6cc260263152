//! Whose plugins are taken: signatures as cosign makes them, missing, foreign, forged and copied.

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tests::registry::Registry;
use windlass::oci::digest_of;

use super::Author;

/// The media type of what cosign signs.
const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Where cosign puts the signature.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

fn openssl(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl").current_dir(folder).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "openssl {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn has_openssl(test: &str) -> bool {
    let is_there = Command::new("openssl").arg("version").output().is_ok();
    if !is_there {
        tests::lab::skip(test, "openssl is not installed");
    }
    is_there
}

/// An author whose plugin is in the registry, and who has a key.
fn pushed(registry: &Registry) -> (Author, String, String) {
    let author = Author::new();
    author.runs(&["plugin", "new-key", "team"]);
    let there = registry.reference("shop:0.1.0");
    let pushed = author.told(&["plugin", "push", "shop.wasm", &there]);
    let digest = pushed["manifest_digest"].as_str().unwrap().to_owned();
    (author, there, digest)
}

/// Brings a manifest to a registry as it is.
async fn put(registry: &Registry, path: &str, kind: &str, body: Vec<u8>) {
    let url = format!("http://{}/v2/shop/{path}", registry.name());
    let request = reqwest::Client::new().put(url).header("Content-Type", kind).body(body);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
}

async fn put_blob(registry: &Registry, bytes: &[u8]) -> Value {
    let url = format!("http://{}/v2/shop/blobs/uploads/", registry.name());
    let begun = reqwest::Client::new().post(url).send().await.unwrap();
    let place = begun.headers()["location"].to_str().unwrap().to_owned();
    let digest = digest_of(bytes).unwrap().to_string();
    let url = format!("{place}&digest={digest}");
    let answer = reqwest::Client::new().put(url).body(bytes.to_vec()).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    json!({ "digest": digest, "size": bytes.len() })
}

/// Brings a signature to where cosign would, whatever it is worth.
async fn put_signature(registry: &Registry, digest: &str, payload: &str, signature: &str) {
    let mut layer = put_blob(registry, payload.as_bytes()).await;
    layer["mediaType"] = PAYLOAD.into();
    layer["annotations"] = json!({ SIGNATURE: signature });
    let mut config = put_blob(registry, b"{}").await;
    config["mediaType"] = "application/vnd.oci.image.config.v1+json".into();
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer],
    });
    let tag = format!("manifests/{}.sig", digest.replace(':', "-"));
    put(registry, &tag, kind, manifest.to_string().into_bytes()).await;
}

/// What cosign signs, by its specification.
fn payload(digest: &str) -> String {
    format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"127.0.0.1/shop"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"cosign container image signature"}},"optional":null}}"#
    )
}

#[tokio::test]
async fn where_a_key_is_trusted_only_what_it_signed_is_taken() {
    let Some(registry) = Registry::start("signatures") else { return };
    let (author, there, _) = pushed(&registry);
    let add = ["plugin", "add", &there, "--accept-grants"];
    let said = author.runs(&["plugin", "trust", "add", "team", "team.pub"]);
    assert!(said.contains("only when `team`"), "{said}");
    author.is_refused(&add, &["Nobody signed oci://", "only what is signed by `team`"]);
    author.runs(&["plugin", "new-key", "stranger"]);
    author.runs(&["plugin", "sign", &there, "--key", "stranger.key"]);
    author.is_refused(&add, &["holds for `team`", "somebody else signed it, or it was forged"]);
    assert!(!author.has("shop"));
    author.runs(&["plugin", "sign", &there, "--key", "team.key"]);
    let said = author.runs(&add);
    assert!(said.contains("signed by   team") && said.contains("is active"), "{said}");
    let pull = ["plugin", "pull", &there, "--verify-key"];
    author.runs(&[&pull[..], &["stranger.pub"]].concat());
    author.runs(&["plugin", "new-key", "nobody"]);
    author.is_refused(&[&pull[..], &["nobody.pub"]].concat(), &["somebody else signed it"]);
    author.runs(&["plugin", "trust", "remove", "team"]);
    let listed = author.told(&["plugin", "trust", "list"]);
    assert_eq!(listed["keys"], json!([]));
    author.is_refused(&["plugin", "trust", "remove", "team"], &["no key `team`"]);
}

#[tokio::test]
async fn a_forged_signature_and_one_of_another_plugin_are_refused() {
    let Some(registry) = Registry::start("forgeries") else { return };
    let (author, there, digest) = pushed(&registry);
    author.runs(&["plugin", "trust", "add", "team", "team.pub"]);
    let add = ["plugin", "add", &there, "--accept-grants"];
    put_signature(&registry, &digest, &payload(&digest), "AAAA").await;
    author.is_refused(&add, &["forged"]);

    author.another("Another shop", "other.wasm");
    let other = registry.reference("shop:other");
    let other = author.told(&["plugin", "push", "other.wasm", &other, "--sign-key", "team.key"]);
    let signed = other["manifest_digest"].as_str().unwrap().replace(':', "-");
    let list = registry.manifest("shop", &format!("{signed}.sig")).await;
    let layer = &list["layers"][0];
    let good = layer["annotations"][SIGNATURE].as_str().unwrap();
    let text = registry.blob("shop", layer["digest"].as_str().unwrap()).await;
    let text = String::from_utf8(text).unwrap();
    put_signature(&registry, &digest, &text, good).await;
    author.is_refused(&add, &["is by `team`", "copied from another plugin"]);
    put_signature(&registry, &digest, &payload(&digest), good).await;
    author.is_refused(&add, &["forged"]);
    assert!(!author.has("shop"));
}

/// What cosign does, openssl can check and do: ECDSA on P-256 over SHA-256 of the very payload.
#[tokio::test]
async fn openssl_reads_our_signatures_and_we_read_those_of_openssl() {
    let Some(registry) = Registry::start("cosign's format") else { return };
    if !has_openssl("cosign's format") {
        return;
    }
    let (author, there, digest) = pushed(&registry);
    let at = author.folder.path();
    author.runs(&["plugin", "sign", &there, "--key", "team.key"]);
    let list = registry.manifest("shop", &format!("{}.sig", digest.replace(':', "-"))).await;
    let layer = &list["layers"][0];
    assert_eq!(layer["mediaType"], PAYLOAD);
    let text = registry.blob("shop", layer["digest"].as_str().unwrap()).await;
    let told: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(told["critical"]["image"]["docker-manifest-digest"], digest.as_str());
    assert_eq!(told["critical"]["type"], "cosign container image signature");
    fs::write(at.join("payload"), text).unwrap();
    let signature = STANDARD.decode(layer["annotations"][SIGNATURE].as_str().unwrap()).unwrap();
    fs::write(at.join("signature"), signature).unwrap();
    let verify = ["dgst", "-sha256", "-verify", "team.pub", "-signature", "signature", "payload"];
    assert!(openssl(at, &verify).contains("Verified OK"));

    let curve = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    openssl(at, &[&curve[..], &["-out", "theirs.key"]].concat());
    openssl(at, &["pkey", "-in", "theirs.key", "-pubout", "-out", "theirs.pub"]);
    fs::write(at.join("payload"), payload(&digest)).unwrap();
    openssl(at, &["dgst", "-sha256", "-sign", "theirs.key", "-out", "signature", "payload"]);
    let signature = STANDARD.encode(fs::read(at.join("signature")).unwrap());
    put_signature(&registry, &digest, &payload(&digest), &signature).await;
    author.runs(&["plugin", "pull", &there, "--verify-key", "theirs.pub"]);
    author.is_refused(&["plugin", "pull", &there, "--verify-key", "team.pub"], &["forged"]);
    author.runs(&["plugin", "sign", &there, "--key", "theirs.key"]);
}

#[test]
fn what_is_no_key_is_said_and_secret_files_are_for_their_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let author = Author::new();
    author.runs(&["plugin", "new-key", "team"]);
    let mode = fs::metadata(author.path("team.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    author.is_refused(&["plugin", "new-key", "team"], &["There is `team.key` already"]);
    author.is_refused(&["plugin", "new-key", "../team"], &["no name of a key"]);
    author.is_refused(
        &["plugin", "trust", "add", "team", "team.key"],
        &["no public key of the curve P-256"],
    );
    let sign = ["plugin", "sign", "oci://127.0.0.1:9/shop:1", "--key"];
    author.is_refused(&[&sign[..], &["team.pub"]].concat(), &["no private key of the curve"]);
    author.is_refused(&[&sign[..], &["none"]].concat(), &["Cannot read none"]);
    author.runs(&["plugin", "trust", "add", "team", "team.pub"]);
    author.is_refused(&["plugin", "trust", "add", "team", "team.pub"], &["already", "remove it"]);
    fs::write(author.path("home/trust/other.pub"), "broken").unwrap();
    let pull = ["plugin", "pull", "oci://127.0.0.1:9/shop:1"];
    author.is_refused(&pull, &["other.pub cannot be used"]);
}
