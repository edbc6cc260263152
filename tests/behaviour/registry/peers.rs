//! The programs of others: what `wkg` and its like are made of fetch ours, and we fetch theirs.

use std::fs;

use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use oci_wasm::{WasmClient, WasmConfig};
use tests::registry::Registry;

use super::Author;

fn client() -> WasmClient {
    let config = ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() };
    WasmClient::new(Client::new(config))
}

#[tokio::test]
async fn what_we_push_is_a_wasm_artifact_to_others() {
    let Some(registry) = Registry::start("oci-wasm pulls") else { return };
    let author = Author::new();
    author.runs(&["plugin", "push", "shop.wasm", &registry.reference("shop:0.1.0")]);
    let reference: Reference = format!("{}/shop:0.1.0", registry.name()).parse().unwrap();
    let pulled = client().pull(&reference, &RegistryAuth::Anonymous).await.unwrap();
    assert_eq!(pulled.layers[0].data, author.component());
    let (_, config, _) =
        client().pull_manifest_and_config(&reference, &RegistryAuth::Anonymous).await.unwrap();
    let (theirs, _) = WasmConfig::from_raw_component(author.component(), None).unwrap();
    assert_eq!((config.architecture, config.os), (theirs.architecture, theirs.os));
    assert_eq!(config.layer_digests, theirs.layer_digests);
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let (ours, theirs) = (config.component.unwrap(), theirs.component.unwrap());
    assert_eq!(sorted(ours.imports), sorted(theirs.imports));
    assert_eq!(sorted(ours.exports), sorted(theirs.exports));
}

#[tokio::test]
async fn what_others_push_we_install() {
    let Some(registry) = Registry::start("oci-wasm pushes") else { return };
    let author = Author::new();
    let reference: Reference = format!("{}/shop:theirs", registry.name()).parse().unwrap();
    let (config, layer) =
        WasmConfig::from_raw_component(author.component(), Some("somebody".to_owned())).unwrap();
    client().push(&reference, &RegistryAuth::Anonymous, layer, config, None).await.unwrap();
    author.runs(&["plugin", "pull", &registry.reference("shop:theirs"), "-o", "theirs.wasm"]);
    assert_eq!(fs::read(author.path("theirs.wasm")).unwrap(), author.component());
}
