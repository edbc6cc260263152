//! Files that are there whole or not at all, after a power cut too.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Result, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What the name of an unfinished file ends with, after the file's own name and this many hex digits.
const UNFINISHED: (&str, usize) = (".new", 16);

/// Writes a file that only its owner may read, from these parts; one that is there is replaced. It
/// is on disk when this returns. Who is killed before leaves a file beside it, until somebody sweeps.
///
/// # Errors
/// When the disk does not take it; then nothing is left.
pub(crate) fn write_whole(path: &Path, parts: &[&[u8]]) -> Result<()> {
    let (mut file, unfinished) = begin(path)?;
    let mut write = || {
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    if let Err(error) = write() {
        // A full disk gets its place back.
        fs::remove_file(&unfinished).ok();
        return Err(error);
    }
    File::open(folder_of(path))?.sync_all()
}

/// Removes what those left in a folder who were killed while they wrote there. Whoever still writes
/// is not disturbed.
///
/// # Errors
/// When the folder cannot be read, or something in it cannot be removed.
pub(crate) fn sweep(folder: &Path) -> Result<()> {
    sweep_those(folder, |_| true)
}

/// The same with what was to become this one file, in a folder that is somebody else's.
///
/// # Errors
/// The same.
pub(crate) fn sweep_beside(path: &Path) -> Result<()> {
    sweep_those(folder_of(path), |wanted| Some(wanted) == path.file_name())
}

/// A new file beside this one, locked as long as somebody writes it: a lock ends with its process.
fn begin(path: &Path) -> Result<(File, PathBuf)> {
    loop {
        let mut name = OsString::from(path);
        // Others may write the same file now, in this process or in another one.
        name.push(format!(".{:016x}{}", rand::random::<u64>(), UNFINISHED.0));
        let name = PathBuf::from(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&name)?;
        file.lock()?;
        // Somebody who sweeps may have come before the lock.
        if file.metadata()?.nlink() > 0 {
            return Ok((file, name));
        }
    }
}

fn sweep_those(folder: &Path, is_wanted: impl Fn(&std::ffi::OsStr) -> bool) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let wanted = name.to_str().and_then(becoming).is_some_and(|it| is_wanted(it.as_ref()));
        if wanted && entry.file_type()?.is_file() {
            remove_abandoned(&entry.path())?;
        }
    }
    Ok(())
}

/// The name that an unfinished file was to have; none for any other file.
fn becoming(name: &str) -> Option<&str> {
    let (ending, digits) = UNFINISHED;
    let (name, random) = name.strip_suffix(ending)?.rsplit_once('.')?;
    (random.len() == digits && random.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(name)
}

fn remove_abandoned(path: &Path) -> Result<()> {
    let removed = File::open(path).and_then(|file| match file.try_lock() {
        Ok(()) => fs::remove_file(path),
        Err(fs::TryLockError::WouldBlock) => Ok(()),
        Err(fs::TryLockError::Error(error)) => Err(error),
    });
    match removed {
        // Whoever wrote it has just finished, or somebody else has swept.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_sweep_takes_what_is_abandoned_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        for name in ["token", "notes.new", "key.0123.new", "a.0123456789abcdeg.new"] {
            fs::write(path(name), "kept").unwrap();
        }
        fs::create_dir(path("folder.0123456789abcdef.new")).unwrap();
        let kept = names(home.path());
        let (_writing, unfinished) = begin(&path("token")).unwrap();
        fs::write(path("token.0123456789abcdef.new"), "left").unwrap();
        fs::write(path("lock.0123456789abcdef.new"), "left").unwrap();
        sweep_beside(&path("token")).unwrap();
        assert!(path("lock.0123456789abcdef.new").exists());
        assert!(!path("token.0123456789abcdef.new").exists());
        sweep(home.path()).unwrap();
        assert!(unfinished.exists(), "somebody writes it");
        fs::remove_file(unfinished).unwrap();
        assert_eq!(names(home.path()), kept);
    }

    #[test]
    fn who_writes_and_who_sweeps_do_not_disturb_each_other() {
        let home = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            let sweeping = scope.spawn(|| (0..2_000).try_for_each(|_| sweep(home.path())));
            for number in 0..200 {
                let path = home.path().join(format!("file-{number}"));
                write_whole(&path, &[b"one ", b"two"]).unwrap();
                assert_eq!(fs::read(path).unwrap(), b"one two");
            }
            sweeping.join().unwrap().unwrap();
        });
        assert_eq!(names(home.path()).len(), 200);
    }
}
