//! The files of a simulated machine. Each is kept under the hash of its path, so no path leads out.

use std::io::Result;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::providers::sandbox::disk;
use crate::providers::sandbox::machines::Simulated;

/// The folders that a new machine has.
const FOLDERS: [&str; 17] = [
    "/",
    "/bin",
    "/etc",
    "/home",
    "/opt",
    "/root",
    "/root/.ssh",
    "/srv",
    "/tmp",
    "/usr",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/etc",
    "/var",
    "/var/lib",
    "/var/log",
    "/var/tmp",
];

/// A machine's file system.
#[derive(Clone, Debug)]
pub(super) struct Files {
    folder: PathBuf,
    given: Vec<(&'static str, String)>,
}

/// What is known of a file or folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Node {
    path: String,
    mode: u32,
    is_folder: bool,
}

impl Files {
    /// The files of this machine, kept in `contents`.
    pub(super) fn new(contents: &std::path::Path, machine: &Simulated) -> Self {
        let (distribution, version) = machine.image.split_once('-').unwrap_or(("linux", ""));
        let title = if distribution == "ubuntu" { "Ubuntu" } else { "Debian GNU/Linux" };
        let release = format!(
            "PRETTY_NAME=\"{title} {version} (simulated)\"\nNAME=\"{title}\"\n\
             VERSION_ID=\"{version}\"\nID={distribution}\n"
        );
        let hostname = format!("{}\n", machine.name);
        let given = vec![("/etc/os-release", release), ("/etc/hostname", hostname)];
        Self { folder: contents.join("files"), given }
    }

    /// The content of a file, or none.
    pub(super) fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let path = absolute(path);
        if let Some(node) = self.node(&path)? {
            return if node.is_folder {
                Ok(None)
            } else {
                std::fs::read(self.place(&path, "content")).map(Some)
            };
        }
        let given = self.given.iter().find(|(given, _)| *given == path);
        Ok(given.map(|(_, content)| content.clone().into_bytes()))
    }

    /// Writes a file. Its folder must be there: answers whether it is.
    pub(super) fn write(&self, path: &str, content: &[u8], mode: u32) -> Result<bool> {
        let path = absolute(path);
        if !self.is_folder(parent(&path))? || self.is_folder(&path)? {
            return Ok(false);
        }
        disk::replace(&self.place(&path, "content"), content)?;
        self.keep(&Node { path, mode, is_folder: false })?;
        Ok(true)
    }

    /// Whether there is a file.
    pub(super) fn is_file(&self, path: &str) -> Result<bool> {
        Ok(self.read(path)?.is_some())
    }

    /// Whether there is a folder.
    pub(super) fn is_folder(&self, path: &str) -> Result<bool> {
        let path = absolute(path);
        let is_made = self.node(&path)?.is_some_and(|node| node.is_folder);
        Ok(is_made || FOLDERS.contains(&path.as_str()))
    }

    /// Makes a folder and those above it. Answers whether that can be: a file may stand there.
    pub(super) fn make_folders(&self, path: &str) -> Result<bool> {
        let path = absolute(path);
        let ends = path.char_indices().filter(|&(at, char)| char == '/' && at > 0);
        let ends: Vec<usize> = ends.map(|(at, _)| at).chain([path.len()]).collect();
        for folder in ends.into_iter().filter_map(|end| path.get(..end)) {
            if self.is_file(folder)? {
                return Ok(false);
            }
            if !self.is_folder(folder)? {
                self.keep(&Node { path: folder.to_owned(), mode: 0o755, is_folder: true })?;
            }
        }
        Ok(true)
    }

    /// The names in a folder, in order.
    pub(super) fn list(&self, folder: &str) -> Result<Vec<String>> {
        let folder = absolute(folder);
        let nodes: Vec<Node> = disk::read_all(&self.folder)?;
        let made = nodes.iter().map(|node| node.path.as_str());
        let given = self.given.iter().map(|(path, _)| *path);
        let mut names: Vec<String> = made
            .chain(given)
            .chain(FOLDERS)
            .filter(|path| *path != "/" && parent(path) == folder)
            .filter_map(|path| path.rsplit('/').next().map(str::to_owned))
            .collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// The paths of what was made here.
    pub(super) fn paths(&self) -> Result<Vec<String>> {
        let nodes: Vec<Node> = disk::read_all(&self.folder)?;
        Ok(nodes.into_iter().map(|node| node.path).collect())
    }

    fn node(&self, path: &str) -> Result<Option<Node>> {
        disk::read(&self.place(path, "json"))
    }

    fn keep(&self, node: &Node) -> Result<()> {
        disk::replace(&self.place(&node.path, "json"), &serde_json::to_vec(node)?)
    }

    fn place(&self, path: &str, extension: &str) -> PathBuf {
        let name = hex::encode(Sha256::digest(path.as_bytes()));
        self.folder.join(format!("{name}.{extension}"))
    }
}

/// A path from the root without `.` and `..`; others start at root's home.
fn absolute(path: &str) -> String {
    let full = if path.starts_with('/') { path.to_owned() } else { format!("/root/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in full.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}
