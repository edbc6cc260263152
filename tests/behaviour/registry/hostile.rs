//! Registries that lie, send too much, or send one elsewhere.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::fake_registry::{Answer, FakeRegistry, Says};
use windlass::oci::digest_of;

use super::{Author, log_in};

/// The artifact of a component, as a registry has it, and where its parts are.
struct Artifact {
    manifest: Vec<u8>,
    config: Vec<u8>,
    component: Vec<u8>,
}

fn digest(bytes: &[u8]) -> String {
    digest_of(bytes).unwrap().to_string()
}

impl Artifact {
    fn of(author: &Author) -> Self {
        Self::with(author, "application/wasm", 1)
    }

    fn with(author: &Author, media_type: &str, layers: usize) -> Self {
        let component = author.component();
        let config = json!({
            "created": "2026-01-01T00:00:00Z", "architecture": "wasm", "os": "wasip2",
            "layerDigests": [digest(&component)],
        });
        let config = config.to_string().into_bytes();
        let layer = json!({
            "mediaType": media_type, "digest": digest(&component), "size": component.len(),
        });
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.wasm.config.v0+json",
                "digest": digest(&config), "size": config.len(),
            },
            "layers": vec![layer; layers],
        });
        Self { manifest: manifest.to_string().into_bytes(), config, component }
    }

    fn lies_in(&self, registry: &FakeRegistry) {
        registry.answers("/v2/shop/manifests/1", self.manifest.clone());
        registry.answers(&format!("/v2/shop/blobs/{}", digest(&self.config)), self.config.clone());
        registry.answers(&self.component_path(), self.component.clone());
    }

    fn component_path(&self) -> String {
        format!("/v2/shop/blobs/{}", digest(&self.component))
    }
}

async fn prepared() -> (Author, FakeRegistry, Artifact, String) {
    let (author, registry) = (Author::new(), FakeRegistry::start().await);
    let artifact = Artifact::of(&author);
    artifact.lies_in(&registry);
    let reference = format!("oci://{}/shop:1", registry.name());
    (author, registry, artifact, reference)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_one_is_served() {
    let (author, registry, _, reference) = prepared().await;
    author.runs(&["plugin", "pull", &reference]);
    assert!(registry.asked().iter().all(|asked| asked.authorization.is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_than_the_digest_says_are_refused() {
    let (author, registry, artifact, reference) = prepared().await;
    let mut other = artifact.component.clone();
    *other.last_mut().unwrap() ^= 1;
    registry.answers(&artifact.component_path(), other);
    author.is_refused(
        &["plugin", "add", &reference, "--accept-grants"],
        &["The component is not what was asked for", &digest(&artifact.component)],
    );
    assert!(!author.has("shop"));
    let wanted = format!("sha256:{}", "a".repeat(64));
    registry.answers(&format!("/v2/shop/manifests/{wanted}"), artifact.manifest.clone());
    author.is_refused(
        &["plugin", "pull", &format!("{}@{wanted}", reference.trim_end_matches(":1"))],
        &["is not what was asked for", &wanted],
    );
    let told = Answer {
        status: 200,
        headers: vec![("Docker-Content-Digest", wanted.clone())],
        says: artifact.manifest.clone().into(),
    };
    registry.answers_with("/v2/shop/manifests/1", told);
    author.is_refused(&["plugin", "pull", &reference], &["is not what was asked for", &wanted]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_end_is_not_read_to_it() {
    let (author, registry, artifact, reference) = prepared().await;
    let began = Instant::now();
    registry.answers(&artifact.component_path(), Says::Endless);
    author.is_refused(&["plugin", "pull", &reference], &["The component has more than 67108864"]);
    registry.answers("/v2/shop/manifests/1", Says::Endless);
    author.is_refused(&["plugin", "pull", &reference], &["more than 1048576 bytes"]);
    let refuses = Answer { status: 500, headers: Vec::new(), says: Says::Endless };
    registry.answers_with("/v2/shop/manifests/1", refuses);
    author.is_refused(&["plugin", "pull", &reference], &["answered 500"]);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_plugin_is_named() {
    let (author, registry, artifact, reference) = prepared().await;
    let says = |manifest: Vec<u8>, word: &str| {
        registry.answers("/v2/shop/manifests/1", manifest);
        author.is_refused(&["plugin", "pull", &reference], &["no plugin at", word]);
    };
    says(Artifact::with(&author, "application/vnd.oci.image.layer.v1.tar", 1).manifest, "layers");
    says(Artifact::with(&author, "application/wasm", 2).manifest, "layers");
    says(json!({ "schemaVersion": 2, "manifests": [] }).to_string().into_bytes(), "an index");
    says(b"<html>".to_vec(), "its manifest");
    let mut image: Value = serde_json::from_slice(&artifact.manifest).unwrap();
    image["config"]["mediaType"] = "application/vnd.oci.image.config.v1+json".into();
    says(image.to_string().into_bytes(), "its configuration is");
    let mut swapped: Value = serde_json::from_slice(&artifact.manifest).unwrap();
    let other = json!({ "architecture": "wasm", "os": "wasip2", "created": "",
        "layerDigests": [format!("sha256:{}", "0".repeat(64))] });
    let other = other.to_string().into_bytes();
    swapped["config"]["digest"] = digest(&other).into();
    registry.answers(&format!("/v2/shop/blobs/{}", digest(&other)), other);
    says(swapped.to_string().into_bytes(), "names another component");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_fetched_where_the_registry_says_and_a_login_goes_nowhere_else() {
    let (author, registry, artifact, reference) = prepared().await;
    let elsewhere = FakeRegistry::start().await;
    elsewhere.answers("/token", json!({ "token": "t0ken" }).to_string().into_bytes());
    elsewhere.answers("/component", artifact.component.clone());
    let realm = format!("http://{}/token", elsewhere.name());
    registry.wants("Bearer t0ken", format!(r#"Bearer realm="{realm}",service="s",scope="x:pull""#));
    let sent = Answer {
        status: 307,
        headers: vec![("Location", format!("http://{}/component", elsewhere.name()))],
        says: Vec::new().into(),
    };
    registry.answers_with(&artifact.component_path(), sent);
    log_in(&author.docker(), &registry.name());
    author.runs(&["plugin", "pull", &reference]);
    let asked = elsewhere.asked();
    assert_eq!(asked[0].path, "/token?service=s&scope=x%3Apull");
    assert!(asked[0].authorization.as_ref().unwrap().starts_with("Basic "), "{asked:?}");
    assert!(
        registry
            .asked()
            .iter()
            .all(|it| { it.authorization.as_deref().is_none_or(|it| it == "Bearer t0ken") })
    );
    let fetched = asked.iter().find(|it| it.path == "/component").unwrap();
    assert_eq!(fetched.authorization, None);
    for realm in ["http://192.0.2.1/token", "file:///etc/passwd", "nonsense"] {
        registry.wants("Bearer other", format!(r#"Bearer realm="{realm}""#));
        author.is_refused(&["plugin", "pull", &reference], &["no https URL"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_sent_out_of_tls_or_round_in_circles() {
    let (author, registry, artifact, reference) = prepared().await;
    let sends = |to: String| {
        let headers = vec![("Location", to)];
        let sent = Answer { status: 302, headers, says: Vec::new().into() };
        registry.answers_with(&artifact.component_path(), sent);
    };
    sends("http://192.0.2.1/component".to_owned());
    author.is_refused(&["plugin", "pull", &reference], &["without TLS"]);
    sends(artifact.component_path());
    author.is_refused(&["plugin", "pull", &reference], &["from one place to the next"]);
}
