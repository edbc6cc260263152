//! `windlass plugin inspect`.

use std::fs;
use std::path::Path;

use serde_json::json;
use wit_component::{DecodedWasm, WitPrinter};

use crate::cli::Refusal;
use crate::cli::plugin::author::{file, refused};
use crate::cli::plugin::lock::contracts;
use crate::cli::terminal::{Terminal, plain};
use crate::plugins::plugin::Plugin;

/// The packages whose interfaces are printed; those of WASI are everybody's.
const OURS: &str = "windlass";

/// Shows a component without running it.
pub(super) fn run(path: &Path, wit: bool, terminal: &Terminal) -> Result<(), Refusal> {
    let bytes = fs::read(path).map_err(|error| file("read", path, &error))?;
    let size = bytes.len();
    let names = |names: Result<Vec<String>, packing::PackError>| {
        names.map_err(|error| refused(&format!("{error}.")))
    };
    let imports = names(packing::component::imports(&bytes))?;
    let exports = names(packing::component::exports(&bytes))?;
    let contract = contracts(&bytes)?;
    let plugin = Plugin::read(bytes.clone()).map_err(|error| refused(&format!("{error}.")))?;
    let descriptor = &plugin.descriptor;
    let digest = plugin.digest.to_string();
    let operations: Vec<String> = plugin.operations.iter().map(ToString::to_string).collect();
    if terminal.is_json() {
        terminal.json(&json!({
            "file": path,
            "bytes": size,
            "digest": digest,
            "contract": contract,
            "operations": operations,
            "imports": imports,
            "exports": exports,
            "wit": interfaces(&bytes)?,
            "descriptor": descriptor,
        }));
        return Ok(());
    }
    if wit {
        terminal.say(plain(&interfaces(&bytes)?).trim_end());
        return Ok(());
    }
    let grants = &descriptor.grants;
    let rows = [
        ("name", format!("{} {}", descriptor.name, descriptor.version)),
        ("title", descriptor.title.clone()),
        ("description", descriptor.description.clone()),
        ("category", descriptor.category.clone()),
        ("operations", operations.join(", ")),
        ("needs", descriptor.dependencies.join(", ")),
        ("names", descriptor.dns_prefixes.join(", ")),
        ("steps", descriptor.steps.join(", ")),
        ("interfaces", grants.interfaces.join(", ")),
        ("http", grants.http_hosts.join(", ")),
        ("secrets", grants.secrets.join(", ")),
        ("stack", grants.stack.join(", ")),
        ("contract", contract.join(", ")),
        ("imports", imports.join(", ")),
        ("exports", exports.join(", ")),
        ("size", format!("{size} bytes")),
        ("digest", digest),
    ];
    for (what, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        terminal.say(&format!("{what:12} {}", plain(value)));
    }
    Ok(())
}

/// What it imports and exports, as WIT, with the contract's interfaces as it knows them.
fn interfaces(component: &[u8]) -> Result<String, Refusal> {
    let unreadable = |error: &dyn std::fmt::Display| {
        refused(&format!("Its interfaces cannot be read: {error}."))
    };
    let decoded = wit_component::decode(component).map_err(|error| unreadable(&error))?;
    let (root, resolve) = match &decoded {
        DecodedWasm::Component(resolve, _) => (decoded.package(), resolve),
        DecodedWasm::WitPackage(..) => return Err(unreadable(&"it is WIT alone")),
    };
    let ours = resolve
        .packages
        .iter()
        .filter(|(id, package)| *id != root && package.name.namespace == OURS);
    let ours: Vec<_> = ours.map(|(id, _)| id).collect();
    let mut printer = WitPrinter::default();
    let printed = printer.print(resolve, root, &ours);
    printed.map_err(|error| unreadable(&error))?;
    Ok(printer.output.to_string())
}
