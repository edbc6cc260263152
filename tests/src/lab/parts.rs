//! What the lab is made of, and what of it is missing on this machine.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The programs that the lab runs.
const PROGRAMS: [&str; 9] =
    ["dockerd", "docker", "debootstrap", "iptables", "ip", "flock", "curl", "tar", "setsid"];

/// What is missing, if anything is.
pub(super) fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("the lab's machines need root".to_owned());
    }
    let path = env::var("PATH").unwrap_or_default();
    let is_there = |program: &str| {
        let mut folders = path.split(':').chain(["/usr/sbin", "/sbin"]);
        folders.any(|folder| Path::new(folder).join(program).exists())
    };
    let absent: Vec<&str> = PROGRAMS.into_iter().filter(|program| !is_there(program)).collect();
    (!absent.is_empty()).then(|| format!("not installed: {}", absent.join(", ")))
}

/// Where what is costly to make is kept between runs.
pub(super) fn cache() -> PathBuf {
    let home = || PathBuf::from(env::var("HOME").unwrap_or_else(|_| "/root".to_owned()));
    let user = || env::var("XDG_CACHE_HOME").map_or_else(|_| home().join(".cache"), PathBuf::from);
    let folder = env::var("WINDLASS_TEST_CACHE").map(PathBuf::from);
    folder.unwrap_or_else(|_| user().join("windlass-tests")).join("lab")
}

/// The Debian mirror that this machine itself uses.
pub(super) fn mirror() -> Option<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(folder) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(folder.flatten().map(|entry| entry.path()));
    }
    let texts: Vec<String> =
        files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
    let words = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| line.starts_with("deb ") || line.trim_start().starts_with("URIs:"));
    let mut urls = words.flat_map(str::split_whitespace).filter(|word| word.contains("://"));
    urls.find(|url| url.trim_end_matches('/').ends_with("/debian")).map(str::to_owned)
}
