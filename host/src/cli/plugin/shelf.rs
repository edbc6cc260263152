//! What was fetched from registries, kept by digest, so that a lock file can be installed without a
//! network. It can be thrown away at any time, and nothing on it is believed unchecked.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::cli::Refusal;
use crate::cli::plugin::author::file;
use crate::files::{self, write_whole};
use crate::model::names::Digest;
use crate::oci::digest_of;

/// Where it is, in the cache.
const FOLDER: &str = "registry";

/// A folder of manifests and components.
pub(super) struct Shelf {
    folder: PathBuf,
    /// The most bytes of what is kept.
    largest: usize,
}

impl Shelf {
    /// The one of this cache, for things of so many bytes at most.
    pub(super) fn of(cache: &Path, largest: usize) -> Self {
        Self { folder: cache.join(FOLDER), largest }
    }

    /// Keeps something.
    pub(super) fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<(), Refusal> {
        if self.get(digest).is_some() {
            return Ok(());
        }
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.and_then(|()| files::sweep(&self.folder))
            .map_err(|error| file("make", &self.folder, &error))?;
        let path = self.path(digest);
        write_whole(&path, &[bytes]).map_err(|error| file("write", &path, &error))
    }

    /// What has this digest, if it is there and has not changed.
    pub(super) fn get(&self, digest: &Digest) -> Option<Vec<u8>> {
        let path = self.path(digest);
        let length = fs::metadata(&path).ok()?.len();
        usize::try_from(length).ok().filter(|length| *length <= self.largest)?;
        let bytes = fs::read(path).ok()?;
        (digest_of(&bytes).ok()? == *digest).then_some(bytes)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(digest.as_str().trim_start_matches("sha256:"))
    }
}
