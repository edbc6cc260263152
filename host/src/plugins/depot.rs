//! Components on disk, each in a file named after its digest: there whole or not at all, and never
//! taken for another.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::files::write_whole;
use crate::model::names::Digest;
use crate::plugins::plugin::{PluginError, digest_of};

/// A folder of components.
#[derive(Clone, Debug)]
pub struct Depot {
    folder: PathBuf,
}

impl Depot {
    /// The depot in this folder, which is made, for us alone, when it is missing.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(folder: &Path) -> Result<Self, PluginError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| failed(folder, &error))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Keeps a component. It is on disk when this returns.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<(), PluginError> {
        let path = self.path(digest);
        if fs::read(&path).is_ok_and(|kept| kept == bytes) {
            return Ok(());
        }
        write_whole(&path, &[bytes]).map_err(|error| failed(&path, &error))
    }

    /// The component with this digest; none when it is not here, or is not that any more.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>, PluginError> {
        let path = self.path(digest);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&path, &error)),
        };
        if digest_of(&bytes)? != *digest {
            warn!(path = %path.display(), "this is not the plugin that was kept here; not used");
            return Ok(None);
        }
        Ok(Some(bytes))
    }

    /// Removes a component. An absent one is success.
    ///
    /// # Errors
    /// When the disk does not let it go.
    pub fn remove(&self, digest: &Digest) -> Result<(), PluginError> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(&path, &error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Removes what a crash left: unfinished files, and those that nothing on record needs.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn sweep(&self, kept: &BTreeSet<Digest>) -> Result<(), PluginError> {
        let known: BTreeSet<PathBuf> = kept.iter().map(|digest| self.path(digest)).collect();
        let read = |error: std::io::Error| failed(&self.folder, &error);
        for entry in fs::read_dir(&self.folder).map_err(read)? {
            let path = entry.map_err(read)?.path();
            if !known.contains(&path) {
                info!(path = %path.display(), "removing a plugin's file that nothing needs");
                if let Err(error) = fs::remove_file(&path) {
                    warn!(%error, path = %path.display(), "it stays");
                }
            }
        }
        Ok(())
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{}.wasm", digest.as_str().trim_start_matches("sha256:")))
    }
}

fn failed(path: &Path, error: &std::io::Error) -> PluginError {
    PluginError::File { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_comes_back_and_what_was_changed_does_not() {
        let home = tempfile::tempdir().unwrap();
        let depot = Depot::open(&home.path().join("store")).unwrap();
        let digest = digest_of(b"a component").unwrap();
        assert_eq!(depot.read(&digest).unwrap(), None);
        depot.put(&digest, b"a component").unwrap();
        assert_eq!(depot.read(&digest).unwrap().as_deref(), Some(b"a component".as_slice()));
        fs::write(depot.path(&digest), b"another component").unwrap();
        assert_eq!(depot.read(&digest).unwrap(), None);
        depot.put(&digest, b"a component").unwrap();
        assert!(depot.read(&digest).unwrap().is_some());
    }

    #[test]
    fn a_sweep_removes_what_nothing_needs_and_what_was_never_finished() {
        let home = tempfile::tempdir().unwrap();
        let depot = Depot::open(home.path()).unwrap();
        let (one, two) = (digest_of(b"one").unwrap(), digest_of(b"two").unwrap());
        depot.put(&one, b"one").unwrap();
        depot.put(&two, b"two").unwrap();
        fs::write(home.path().join("half.new"), b"tw").unwrap();
        depot.sweep(&BTreeSet::from([one.clone()])).unwrap();
        assert!(depot.read(&one).unwrap().is_some());
        assert_eq!(depot.read(&two).unwrap(), None);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
        depot.remove(&one).unwrap();
        depot.remove(&one).unwrap();
    }
}
