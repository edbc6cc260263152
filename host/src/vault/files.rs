//! The files beside the database that the vault keeps: for their owner alone, and there whole or
//! not at all, also when the process is killed in between. One host uses a home at a time.

use std::fs::File;
use std::io::{ErrorKind, Result};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::files::write_whole;
use crate::vault::VaultError;

/// Reads a file that nobody else may read; none when there is none.
pub(super) fn read(path: &Path) -> std::result::Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
    let failed = |reason| VaultError::File { path: path.to_owned(), reason };
    let mode = match std::fs::metadata(path) {
        Ok(found) => found.permissions().mode() & 0o777,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if mode & 0o077 != 0 {
        return Err(VaultError::Exposed { path: path.to_owned(), mode });
    }
    std::fs::read(path).map(|content| Some(Zeroizing::new(content))).map_err(failed)
}

/// Writes a file; one that is there is replaced.
pub(super) fn write(
    home: &Path,
    name: &str,
    content: &[u8],
) -> std::result::Result<(), VaultError> {
    let path = home.join(name);
    write_whole(&path, &[content]).map_err(|reason| VaultError::File { path, reason })
}

/// Gives a file another name; one that has it is replaced.
pub(super) fn rename(home: &Path, from: &str, to: &str) -> std::result::Result<(), VaultError> {
    let renamed = std::fs::rename(home.join(from), home.join(to)).and_then(|()| sync(home));
    renamed.map_err(|reason| VaultError::File { path: home.join(from), reason })
}

/// Removes a file; one that is gone is success.
pub(super) fn remove(home: &Path, name: &str) -> std::result::Result<(), VaultError> {
    let removed = match std::fs::remove_file(home.join(name)) {
        Ok(()) => sync(home),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    removed.map_err(|reason| VaultError::File { path: home.join(name), reason })
}

fn sync(home: &Path) -> Result<()> {
    File::open(home)?.sync_all()
}
