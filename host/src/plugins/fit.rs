//! Whether a component was made for this host: what it imports and exports is held against the
//! contract, and a difference is told with both sides and what to do.

use wasmparser::{ComponentExternalKind, ComponentTypeRef, Parser, Payload};
use wasmtime::component::Component;

use crate::plugins::descriptor::{Descriptor, Kind};
use crate::plugins::plugin::PluginError;
use crate::plugins::signature;

/// The contract's package.
const PACKAGE: &str = "windlass:plugin/";

/// The contract's version, as `wit/world.wit` has it.
pub const CONTRACT: semver::Version = semver::Version::new(0, 1, 0);

/// Interfaces that nobody has to ask for: they do nothing outside.
const FREE: [&str; 2] = ["job", "types"];

/// What there is of WASI for plugins, as the beginnings of names.
const WASI: [&str; 4] = ["wasi:io/", "wasi:clocks/", "wasi:random/", "wasi:cli/"];

/// How deep components and modules may be within each other. Tools that put components together
/// need a few.
const DEEPEST: u32 = 50;

/// The most imports of a component, and the most exports. The contract has ten of the one and two of
/// the other.
const MOST_NAMES: usize = 1_000;

/// Checks by name, before anything is compiled, that the host has what the component imports, and
/// that the descriptor asks for it.
///
/// # Errors
/// When it wants what there is not, or uses what it does not ask for.
pub fn check_imports(component: &[u8], descriptor: &Descriptor) -> Result<(), PluginError> {
    for import in imports(component)? {
        let (name, version) = import.split_once('@').unwrap_or((import, ""));
        match name.strip_prefix(PACKAGE) {
            Some(interface) => {
                check_version(import, version)?;
                check_asked(interface, descriptor)?;
            }
            None if WASI.iter().any(|offered| name.starts_with(offered)) => {}
            None => return Err(not_offered(import)),
        }
    }
    Ok(())
}

/// What is wrong with a component that could not be linked: the function that it lacks, or that is
/// not the contract's, by name and with both signatures, or else what wasmtime says.
pub fn misfit(
    kind: Kind,
    bytes: &[u8],
    component: &Component,
    error: &wasmtime::Error,
) -> PluginError {
    let reason = check_exports(kind, bytes).err();
    reason.unwrap_or_else(|| not_linked(component, error))
}

/// Checks by name that the component has the functions that the host calls.
///
/// # Errors
/// When it lacks one.
pub fn check_exports(kind: Kind, component: &[u8]) -> Result<(), PluginError> {
    let (world, wanted) = match kind {
        Kind::Operation => ("operation", ["run"].as_slice()),
        Kind::App => ("app", ["deploy", "undeploy"].as_slice()),
    };
    let found = exports(component)?;
    let Some(missing) = wanted.iter().find(|it| !found.contains(it)) else { return Ok(()) };
    let shown: Vec<String> = found
        .iter()
        .take(8)
        .map(|name| format!("`{}`", name.chars().take(60).collect::<String>().escape_debug()))
        .collect();
    let shown = if shown.is_empty() { "none".to_owned() } else { shown.join(" and ") };
    let was_renamed = *missing == "undeploy" && found.contains(&"remove");
    let renamed =
        if was_renamed { " (`remove` is what `undeploy` was called earlier)" } else { "" };
    Err(PluginError::DoesNotFit {
        reason: format!(
            "it exports no function `{missing}`, which the world `{world}` of \
             windlass:plugin@{CONTRACT} has; of functions it exports {shown}{renamed}: build it \
             anew with the SDK and `wit/` of this host (windlass {})",
            env!("CARGO_PKG_VERSION"),
        ),
    })
}

fn not_linked(component: &Component, error: &wasmtime::Error) -> PluginError {
    let mut reasons: Vec<String> = error.chain().map(ToString::to_string).collect();
    reasons.dedup();
    let sides = both_sides(component, &reasons).unwrap_or_default();
    PluginError::DoesNotFit {
        reason: format!(
            "{}{sides}. This host is windlass {} with the contract windlass:plugin@{CONTRACT}: \
             build the plugin against that one, or install it on a host that has what it wants",
            reasons.join(": "),
            env!("CARGO_PKG_VERSION"),
        ),
    }
}

/// What the contract has and what the component has, of the function that wasmtime's words name.
fn both_sides(component: &Component, reasons: &[String]) -> Option<String> {
    let quoted = |before: &str| {
        let text = reasons.iter().find_map(|it| it.split_once(before))?.1;
        text.split_once('`').map(|(name, _)| name)
    };
    let import = quoted("instance `");
    let interface = match import {
        Some(import) => Some(import.strip_prefix(PACKAGE)?.split('@').next()?),
        None => None,
    };
    let name = quoted("instance export `").or_else(|| quoted("export func `"))?;
    let found = signature::found(component, import, name)?;
    Some(match (signature::expected(interface, name), interface) {
        (Some(expected), _) => {
            format!("; expected is `{name}: {expected}`, and found is `{name}: {found}`")
        }
        (None, Some(interface)) => {
            let names = signature::names(interface).join("`, `");
            format!("; it wants `{name}: {found}`, and there are `{names}`")
        }
        (None, None) => format!("; found is `{name}: {found}`"),
    })
}

/// The names of the interfaces that the component itself imports.
fn imports(component: &[u8]) -> Result<Vec<&str>, PluginError> {
    let (mut names, mut seen) = (Vec::new(), 0_usize);
    each_of_its_own(component, |payload| {
        if let Payload::ComponentImportSection(section) = payload {
            for import in section {
                let import = import?;
                seen += 1;
                // A type by itself is a name for what an interface has; linking looks at it.
                if matches!(import.ty, ComponentTypeRef::Instance(_)) {
                    names.push(import.name.name);
                }
            }
        }
        Ok(())
    })?;
    check_number("imports", seen)?;
    Ok(names)
}

/// The names of the functions that the component itself exports.
fn exports(component: &[u8]) -> Result<Vec<&str>, PluginError> {
    let (mut names, mut seen) = (Vec::new(), 0_usize);
    each_of_its_own(component, |payload| {
        if let Payload::ComponentExportSection(section) = payload {
            for export in section {
                let export = export?;
                seen += 1;
                if export.kind == ComponentExternalKind::Func {
                    names.push(export.name.name);
                }
            }
        }
        Ok(())
    })?;
    check_number("exports", seen)?;
    Ok(names)
}

fn check_number(what: &str, number: usize) -> Result<(), PluginError> {
    if number <= MOST_NAMES {
        return Ok(());
    }
    let reason = format!("it {what} {number} things, and a plugin {what} at most {MOST_NAMES}");
    Err(PluginError::DoesNotFit { reason })
}

/// Shows the parts of the component that are not within modules and components in it.
fn each_of_its_own<'a>(
    component: &'a [u8],
    mut show: impl FnMut(Payload<'a>) -> wasmparser::Result<()>,
) -> Result<(), PluginError> {
    let broken = |error: wasmparser::BinaryReaderError| PluginError::NotAComponent {
        reason: error.to_string(),
    };
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(broken)? {
            Payload::Version { .. } if depth >= DEEPEST => {
                let reason =
                    format!("it has components and modules more than {DEEPEST} deep in each other");
                return Err(PluginError::NotAComponent { reason });
            }
            Payload::Version { .. } => depth = depth.saturating_add(1),
            Payload::End(_) => depth = depth.saturating_sub(1),
            payload if depth == 1 => show(payload).map_err(broken)?,
            _ => {}
        }
    }
    Ok(())
}

/// Before 1.0 the second number is the breaking one.
fn check_version(import: &str, version: &str) -> Result<(), PluginError> {
    let wanted: Option<semver::Version> = version.parse().ok();
    let fits = wanted.as_ref().is_some_and(|it| {
        it.major == CONTRACT.major && (it.major > 0 || it.minor == CONTRACT.minor)
    });
    if fits {
        return Ok(());
    }
    let is_newer = wanted.is_some_and(|wanted| wanted > CONTRACT);
    let fix = if is_newer {
        "install a newer windlass, or build the plugin against this contract"
    } else {
        "build the plugin against this contract"
    };
    Err(PluginError::DoesNotFit {
        reason: format!(
            "it imports `{import}`, and this host (windlass {}) has windlass:plugin@{CONTRACT}: \
             {fix}",
            env!("CARGO_PKG_VERSION"),
        ),
    })
}

fn check_asked(interface: &str, descriptor: &Descriptor) -> Result<(), PluginError> {
    let asked = &descriptor.grants.interfaces;
    if FREE.contains(&interface) || asked.iter().any(|it| it == interface) {
        return Ok(());
    }
    Err(PluginError::BadDescriptor {
        reason: format!(
            "it imports the interface `{interface}` and does not ask for it: add it to \
             `grants.interfaces`, or do not use it"
        ),
    })
}

fn not_offered(import: &str) -> PluginError {
    let shown: String = import.chars().take(100).collect();
    let why = if shown.starts_with("wasi:filesystem/") {
        "plugins have no files: build it without `std::fs`"
    } else if shown.starts_with("wasi:sockets/") || shown.starts_with("wasi:http/") {
        "plugins have no sockets: use the contract's `http`"
    } else {
        "this host has nothing of that name: build it against `wit/` of this host alone"
    };
    PluginError::DoesNotFit { reason: format!("it imports `{}`, and {why}", shown.escape_debug()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_is_the_one_in_the_wit() {
        let world = include_str!("../../../wit/world.wit");
        assert!(world.contains(&format!("package windlass:plugin@{CONTRACT};")));
    }

    #[test]
    fn another_contract_is_refused_with_both_versions_and_the_fix() {
        assert!(check_version("windlass:plugin/job@0.1.7", "0.1.7").is_ok());
        for (version, fix) in
            [("0.2.0", "a newer windlass"), ("0.0.9", "build the plugin"), ("", "")]
        {
            let import = format!("windlass:plugin/job@{version}");
            let said = check_version(&import, version).unwrap_err().to_string();
            for part in [import.as_str(), "windlass:plugin@0.1.0", fix] {
                assert!(said.contains(part), "{said}");
            }
        }
    }

    #[test]
    fn what_plugins_never_have_is_refused_with_what_to_use_instead() {
        assert!(not_offered("wasi:sockets/tcp@0.2.6").to_string().contains("`http`"));
        assert!(not_offered("wasi:filesystem/types@0.2.6").to_string().contains("no files"));
        assert!(not_offered("acme:thing/part").to_string().contains("`acme:thing/part`"));
    }
}
