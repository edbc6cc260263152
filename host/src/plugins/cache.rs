//! Compiled code on disk, by the component's digest and the engine's fingerprint, so that a start
//! need not compile anything. A file that is not as we wrote it is compiled again.

use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tracing::{debug, warn};
use wasmtime::component::Component;

use crate::files::{self, write_whole};
use crate::model::names::Digest;

/// How many bytes of a file are the checksum of the rest.
const CHECKSUM: usize = 32;

/// A folder of compiled components.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in this folder, which is made, for us alone, when it is missing.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        if let Err(error) = files::sweep(folder) {
            warn!(folder = %folder.display(), %error, "could not sweep the cache");
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the compiled component is on disk.
    pub fn has(&self, engine: &wasmtime::Engine, digest: &Digest) -> bool {
        read_ours(&self.folder.join(file_name(engine, digest))).is_some()
    }

    /// The compiled component from disk, if it is there. Reads all of it: not for a runtime thread.
    pub fn known(&self, engine: &wasmtime::Engine, digest: &Digest) -> Option<Component> {
        let file = read_ours(&self.folder.join(file_name(engine, digest)))?;
        let code = file.get(CHECKSUM..).unwrap_or_default();
        deserialize(engine, code)
            .inspect_err(|error| warn!(%digest, %error, "the cache is of no use: compiling again"))
            .ok()
    }

    /// The compiled component, from disk or compiled now. Takes up to seconds: not for a runtime
    /// thread.
    ///
    /// # Errors
    /// When the bytes do not compile.
    pub fn load(
        &self,
        engine: &wasmtime::Engine,
        digest: &Digest,
        bytes: &[u8],
    ) -> wasmtime::Result<Component> {
        if let Some(component) = self.known(engine, digest) {
            return Ok(component);
        }
        let path = self.folder.join(file_name(engine, digest));
        let code = engine.precompile_component(bytes)?;
        if let Err(error) = write_whole(&path, &[&Sha256::digest(&code), &code]) {
            debug!(%digest, %error, "could not write compiled code to the cache");
        }
        deserialize(engine, &code)
    }
}

fn file_name(engine: &wasmtime::Engine, digest: &Digest) -> String {
    let mut fingerprint = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut fingerprint);
    let hex = digest.as_str().trim_start_matches("sha256:");
    format!("{hex}-{:016x}.cwasm", fingerprint.finish())
}

/// A file that only we can have written: ours, not writable for others, and with the right checksum
/// in front of the code.
fn read_ours(path: &Path) -> Option<Vec<u8>> {
    let metadata = fs::symlink_metadata(path).ok()?;
    let folder = fs::metadata(path.parent()?).ok()?;
    let me = rustix::process::geteuid().as_raw();
    let safe = |m: &fs::Metadata| m.uid() == me && m.mode() & 0o022 == 0;
    if !metadata.is_file() || !safe(&metadata) || !safe(&folder) {
        warn!(path = %path.display(), "others could have written this cache entry; not used");
        return None;
    }
    let file = fs::read(path).ok()?;
    let (checksum, code) = file.split_at_checked(CHECKSUM)?;
    (Sha256::digest(code).as_slice() == checksum).then_some(file)
}

#[expect(unsafe_code, reason = "wasmtime cannot check compiled code; `load` made or verified it")]
fn deserialize(engine: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` is what `precompile_component` gave, a moment ago or in a file that only this
    // user can write and whose checksum holds. Code of another wasmtime or setting is refused.
    unsafe { Component::deserialize(engine, code) }
}
