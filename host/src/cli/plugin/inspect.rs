//! `windlass plugin inspect`.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::cli::Refusal;
use crate::cli::plugin::author::{file, refused};
use crate::cli::terminal::Terminal;
use crate::plugins::plugin::Plugin;

/// Shows a component without running it.
pub(super) fn run(path: &Path, terminal: &Terminal) -> Result<(), Refusal> {
    let bytes = fs::read(path).map_err(|error| file("read", path, &error))?;
    let size = bytes.len();
    let imports =
        packing::component::imports(&bytes).map_err(|error| refused(&format!("{error}.")))?;
    let plugin = Plugin::read(bytes).map_err(|error| refused(&format!("{error}.")))?;
    let descriptor = &plugin.descriptor;
    let digest = plugin.digest.to_string();
    if terminal.is_json() {
        terminal.json(&json!({
            "file": path,
            "bytes": size,
            "digest": digest,
            "imports": imports,
            "descriptor": descriptor,
        }));
        return Ok(());
    }
    let grants = &descriptor.grants;
    let rows = [
        ("name", format!("{} {}", descriptor.name, descriptor.version)),
        ("title", descriptor.title.clone()),
        ("description", descriptor.description.clone()),
        ("category", descriptor.category.clone()),
        ("needs", descriptor.dependencies.join(", ")),
        ("names", descriptor.dns_prefixes.join(", ")),
        ("steps", descriptor.steps.join(", ")),
        ("interfaces", grants.interfaces.join(", ")),
        ("http", grants.http_hosts.join(", ")),
        ("secrets", grants.secrets.join(", ")),
        ("stack", grants.stack.join(", ")),
        ("imports", imports.join(", ")),
        ("size", format!("{size} bytes")),
        ("digest", digest),
    ];
    for (what, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        terminal.say(&format!("{what:12} {value}"));
    }
    Ok(())
}
