//! Files that are there whole or not at all, also when the process is killed.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Result, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Writes a file unless there is one. Answers whether there was none.
pub(super) fn create<T: Serialize>(path: &Path, value: &T) -> Result<bool> {
    let (new, folder) = write_beside(path, &serde_json::to_vec(value)?)?;
    let linked = std::fs::hard_link(&new, path);
    std::fs::remove_file(&new)?;
    match linked {
        Ok(()) => File::open(folder)?.sync_all().map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes a file; one that is there is replaced.
pub fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let (new, folder) = write_beside(path, content)?;
    std::fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

/// Reads a file, or none.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match std::fs::read(path) {
        Ok(content) => Ok(Some(serde_json::from_slice(&content)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads every `.json` file of a folder, by name. A folder that is not there is empty.
pub(super) fn read_all<T: DeserializeOwned>(folder: &Path) -> Result<Vec<T>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let found = paths.iter().map(|path| read(path)).collect::<Result<Vec<_>>>()?;
    Ok(found.into_iter().flatten().collect())
}

/// Removes a file; one that is gone is success.
pub(super) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write_beside(path: &Path, content: &[u8]) -> Result<(PathBuf, PathBuf)> {
    let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
    std::fs::create_dir_all(&folder)?;
    let new = folder.join(format!(".{:016x}", rand::random::<u64>()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok((new, folder))
}
