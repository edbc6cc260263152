//! The home directory: made for its owner alone, and used by one host at a time.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::app::access::Admin;
use crate::error::{Error, ErrorKind, sentence};
use crate::files::{self, write_whole};

/// Somebody may look at the lock for a moment; so often is tried again.
const LOOKS: u32 = 20;
/// How long between two tries.
const BETWEEN: Duration = Duration::from_millis(10);

/// A home that this process alone uses.
pub struct Home {
    path: PathBuf,
    lock: File,
    is_new: AtomicBool,
}

/// The host that uses a home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occupant {
    /// Its process.
    pub pid: u32,
    /// Where it listens, once it does.
    pub address: Option<SocketAddr>,
}

impl Home {
    /// Makes the directory where there is none, and takes it.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let created = make(path).map_err(|error| refused(path, &error))?;
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(|error| refused(path, &error))?;
        for _ in 0..LOOKS {
            match lock.try_lock() {
                Ok(()) => return Self::taken(path, lock, created),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(BETWEEN).await,
                Err(TryLockError::Error(error)) => return Err(refused(path, &error)),
            }
        }
        Err(occupied(path, read(&lock).as_ref()))
    }

    fn taken(path: &Path, lock: File, created: bool) -> Result<Self, Error> {
        let home = Self { path: path.to_owned(), lock, is_new: AtomicBool::new(created) };
        if let Err(error) = files::sweep(path) {
            warn!(%error, "could not remove what a killed host left unfinished in the home");
        }
        home.write(&Occupant { pid: std::process::id(), address: None })?;
        Ok(home)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there was none before this run, and nobody asked yet.
    pub fn take_new(&self) -> bool {
        self.is_new.swap(false, Ordering::Relaxed)
    }

    /// Tells others where the host listens.
    pub fn announce(&self, address: SocketAddr) -> Result<(), Error> {
        self.write(&Occupant { pid: std::process::id(), address: Some(address) })
    }

    /// Lets others have it.
    pub fn leave(&self) {
        if let Err(error) = self.lock.set_len(0).and_then(|()| self.lock.unlock()) {
            warn!(%error, "could not unlock the home; the end of the process will");
        }
    }

    /// Writes a file that only its owner may read; it is there whole or not at all.
    pub fn write_private(&self, name: &str, content: &str) -> Result<(), Error> {
        let written = write_whole(&self.path.join(name), &[content.as_bytes()]);
        written.map_err(|error| refused(&self.path, &error))
    }

    fn write(&self, occupant: &Occupant) -> Result<(), Error> {
        let mut file = &self.lock;
        let mut write = || -> io::Result<()> {
            let text = serde_json::to_vec(occupant)?;
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(&text)
        };
        write().map_err(|error| refused(&self.path, &error))
    }
}

impl Admin {
    /// Where the home is, and whether it is new and nobody asked before.
    pub fn init(&self) -> (PathBuf, bool) {
        (self.app.home.path().to_owned(), self.app.home.take_new())
    }
}

/// The host that uses this home now, if one does. `address` is none while it starts.
pub fn occupant(path: &Path) -> Option<Occupant> {
    let lock = File::open(path.join("lock")).ok()?;
    match lock.try_lock_shared() {
        Err(TryLockError::WouldBlock) => read(&lock),
        // The lock ends with the file.
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

/// The home can't be used, for this reason.
pub fn unusable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    let message = sentence(&error.to_string());
    Error::new(ErrorKind::Unavailable, "home_unusable", message).caused_by(error)
}

fn read(mut lock: &File) -> Option<Occupant> {
    let mut text = String::new();
    lock.rewind().ok()?;
    lock.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Answers whether there was none before.
fn make(path: &Path) -> io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            if found.permissions().mode() & 0o077 != 0 {
                std::fs::set_permissions(path, Permissions::from_mode(0o700))?;
            }
            Ok(false)
        }
        Ok(_) => Err(io::ErrorKind::NotADirectory.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

fn refused(path: &Path, error: &io::Error) -> Error {
    let path = path.display();
    let message = match error.kind() {
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            format!("The home `{path}` is not a directory: move that file away, or use --home.")
        }
        io::ErrorKind::ReadOnlyFilesystem => format!(
            "The home `{path}` is on a read-only file system: make it writable, or use --home."
        ),
        io::ErrorKind::PermissionDenied => format!(
            "The home `{path}` cannot be written by this user: change its owner, or use --home."
        ),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("The disk with the home `{path}` is full: free some space.")
        }
        _ => format!("The home `{path}` cannot be used: {error}."),
    };
    Error::new(ErrorKind::Unavailable, "home_unusable", message)
}

fn occupied(path: &Path, by: Option<&Occupant>) -> Error {
    let who = match by {
        Some(Occupant { pid, address: Some(address) }) => {
            format!("a host with process id {pid}, which listens on {address}")
        }
        Some(Occupant { pid, address: None }) => format!("a host with process id {pid}"),
        None => "another host".to_owned(),
    };
    let message = format!(
        "The home `{}` is used by {who}: talk to that one, end it, or use another --home.",
        path.display()
    );
    Error::new(ErrorKind::Conflict, "home_in_use", message)
}
