//! Files that are there whole or not at all, after a power cut too.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Result, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Writes a file that only its owner may read, from these parts; one that is there is replaced. It
/// is on disk when this returns. Who is killed before leaves a file beside it, whose name nobody
/// else takes: it ends with `.new`.
///
/// # Errors
/// When the disk does not take it; then nothing is left.
pub(crate) fn write_whole(path: &Path, parts: &[&[u8]]) -> Result<()> {
    let mut unfinished = OsString::from(path);
    // Others may write the same file now, in this process or in another one.
    unfinished.push(format!(".{:016x}.new", rand::random::<u64>()));
    let unfinished = PathBuf::from(unfinished);
    let write = || {
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    if let Err(error) = write() {
        // A full disk gets its place back.
        fs::remove_file(&unfinished).ok();
        return Err(error);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
