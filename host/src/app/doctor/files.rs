//! What lies in the home: who can read it, how much room is left, compiled code, plugins.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::app::doctor::Check;
use crate::app::{database, plugins, tokens};
use crate::config::Config;
use crate::vault::source;

/// With less than this, the next jobs may not be taken.
const LITTLE: u64 = 64 << 20;
/// With less than this, it is time to do something.
const SOME: u64 = 1 << 30;

/// Whether nobody but the owner can read the home, and what in it is secret.
pub(super) fn permissions(home: &Path, fixes: bool) -> Vec<Check> {
    let secret = [source::KEY_FILE, source::RECIPE_FILE, tokens::FILE];
    let secret = secret.into_iter().map(|name| home.join(name)).chain([database::of(home)]);
    let mut checks = vec![private("home", home, 0o700, fixes)];
    let files: Vec<PathBuf> = secret.filter(|path| path.exists()).collect();
    let mut exposed: Vec<Check> = files
        .iter()
        .map(|path| private("files", path, 0o600, fixes))
        .filter(|check| check.advice.is_some())
        .collect();
    if exposed.is_empty() {
        let found = format!("{} files with secrets, for their owner alone", files.len());
        exposed.push(Check::ok("files", found));
    }
    checks.extend(exposed);
    checks
}

fn private(name: &'static str, path: &Path, wanted: u32, fixes: bool) -> Check {
    let shown = path.display();
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) => {
            return Check::problem(name, format!("{shown}: {error}"), "see who owns the home");
        }
    };
    let mode = found.permissions().mode() & 0o777;
    if found.uid() != rustix::process::geteuid().as_raw() {
        let found = format!("{shown} belongs to the user with the number {}", found.uid());
        return Check::warn(name, found, "run windlass as that user, or chown the home");
    }
    if mode & 0o077 == 0 {
        return Check::ok(name, format!("{shown} is for its owner alone"));
    }
    let found = format!("others can get at {shown} (mode {mode:03o})");
    if !fixes {
        let advice = format!("chmod {wanted:o} {shown}, or windlass doctor --fix");
        return Check::problem(name, found, advice);
    }
    match fs::set_permissions(path, Permissions::from_mode(wanted)) {
        Ok(()) => Check::warn(
            name,
            format!("{found}; it is {wanted:o} now"),
            "consider what it held as known to whoever can use this machine",
        ),
        Err(error) => Check::problem(name, format!("{found}: {error}"), "chmod it by hand"),
    }
}

/// Whether the disk takes more jobs.
pub(super) fn room(home: &Path) -> Check {
    let found = match rustix::fs::statvfs(home) {
        Ok(found) => found,
        Err(error) => {
            let advice = "see whether the disk is mounted";
            return Check::warn("room", format!("it cannot be seen: {error}"), advice);
        }
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let size = fs::metadata(database::of(home)).map_or(0, |it| it.len());
    let told = format!("{} free, the database has {}", megabytes(free), megabytes(size));
    if free < LITTLE || (found.f_files > 0 && found.f_favail < 16) {
        Check::problem("room", told, "free some space: jobs are refused when the disk is full")
    } else if free < SOME.max(size) {
        let advice = "free some space; `windlass job delete --older-than 30d` removes old jobs";
        Check::warn("room", told, advice)
    } else {
        Check::ok("room", told)
    }
}

/// Whether compiled code is kept.
pub(super) fn cache(folder: &Path) -> Check {
    let shown = folder.display();
    match fs::read_dir(folder) {
        Ok(entries) => {
            let sizes = entries.flatten().filter_map(|entry| entry.metadata().ok());
            let (count, size) = sizes.fold((0_u64, 0), |(n, size), it| (n + 1, size + it.len()));
            let told = format!("{count} compiled plugins, {}, in {shown}", megabytes(size));
            if rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok() {
                Check::ok("cache", told)
            } else {
                let advice = "make it writable: every start compiles anew what is not there";
                Check::warn("cache", format!("{told}, which cannot be written"), advice)
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Check::ok("cache", format!("{shown} is made at the next start, which takes longer"))
        }
        Err(error) => {
            Check::warn("cache", format!("{shown}: {error}"), "remove it; it is made anew")
        }
    }
}

/// Whether the watched folder can be read.
pub(super) fn plugins(config: &Config) -> Check {
    let folder = plugins::folder(config);
    let shown = folder.display();
    match fs::read_dir(&folder) {
        Ok(entries) => {
            let names = entries.flatten().map(|entry| entry.path());
            let count = names.filter(|path| path.extension().is_some_and(|it| it == "wasm"));
            Check::ok("plugins", format!("{} files in {shown}", count.count()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Check::ok("plugins", format!("{shown} is made at the next start"))
        }
        Err(error) => {
            let advice = "make it readable: plugins from outside cannot be loaded";
            Check::problem("plugins", format!("{shown}: {error}"), advice)
        }
    }
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) >> 20;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
