//! The watched directory: tells which files of components are new and whole. A file counts as whole
//! when it was renamed into place, closed by its writer, or left alone for a while.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{info, warn};

/// How often the directory is read without having been told of anything.
const POLL: Duration = Duration::from_secs(5);
/// A file that nobody has written to for so long is whole, in seconds.
const LEFT_ALONE: i64 = 2;

/// Watches one directory, and nothing below it.
pub struct Watcher {
    folder: PathBuf,
    /// None where the system cannot tell; then it is slower.
    _source: Option<RecommendedWatcher>,
    hints: UnboundedReceiver<PathBuf>,
    poll: Interval,
    seen: HashMap<PathBuf, Fingerprint>,
}

/// What tells one content of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fingerprint {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

/// What happened to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is new, or another one than before, and whole.
    New(PathBuf),
    /// It is not there any more.
    Gone(PathBuf),
}

impl Watcher {
    /// Watches this directory. What lies in it now is new.
    pub fn start(folder: &Path) -> Self {
        let (told, hints) = unbounded_channel();
        let source = watch(folder, told)
            .inspect_err(|error| warn!(%error, "new plugins are found every few seconds only"))
            .ok();
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let folder = folder.to_owned();
        Self { folder, _source: source, hints, poll, seen: HashMap::new() }
    }

    /// The next files that are new or gone. Nothing is lost when the wait is given up.
    pub async fn changed(&mut self) -> Vec<Found> {
        loop {
            let found = tokio::select! {
                Some(path) = self.hints.recv() => self.look_at(&path).into_iter().collect(),
                _ = self.poll.tick() => self.look_around(),
            };
            if !found.is_empty() {
                return found;
            }
        }
    }

    /// Looks at this file again at the next poll: it could not be dealt with.
    pub fn forget(&mut self, path: &Path) {
        self.seen.remove(path);
    }

    fn look_at(&mut self, path: &Path) -> Option<Found> {
        if !is_component(path) || path.parent() != Some(&self.folder) {
            return None;
        }
        let Some(now) = fingerprint(path) else { return self.gone(path) };
        let before = self.seen.insert(path.to_owned(), now);
        (before != Some(now)).then(|| Found::New(path.to_owned()))
    }

    fn look_around(&mut self) -> Vec<Found> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) => {
                warn!(%error, folder = %self.folder.display(), "plugins are not looked for");
                return Vec::new();
            }
        };
        let mut found = Vec::new();
        let limit = Timestamp::now().as_second().saturating_sub(LEFT_ALONE);
        for path in entries.flatten().map(|entry| entry.path()) {
            let is_whole = fingerprint(&path).is_some_and(|it| it.modified.0 <= limit);
            if is_whole {
                found.extend(self.look_at(&path));
            }
        }
        let missing = self.seen.keys().filter(|path| !path.exists()).cloned();
        for path in missing.collect::<Vec<_>>() {
            found.extend(self.gone(&path));
        }
        found
    }

    fn gone(&mut self, path: &Path) -> Option<Found> {
        self.seen.remove(path)?;
        info!(path = %path.display(), "a plugin's file is gone; that deactivates nothing");
        Some(Found::Gone(path.to_owned()))
    }
}

fn watch(folder: &Path, told: UnboundedSender<PathBuf>) -> notify::Result<RecommendedWatcher> {
    let mut source = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        let matters = matches!(
            event.kind,
            EventKind::Access(AccessKind::Close(AccessMode::Write))
                | EventKind::Modify(ModifyKind::Name(_))
                | EventKind::Remove(_)
        );
        if matters {
            // Nobody listening any more is no failure.
            event.paths.into_iter().for_each(|path| told.send(path).unwrap_or_default());
        }
    })?;
    source.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(source)
}

fn is_component(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "wasm")
}

/// None for what is no file.
fn fingerprint(path: &Path) -> Option<Fingerprint> {
    let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some(Fingerprint {
        inode: found.ino(),
        length: found.len(),
        modified: (found.mtime(), found.mtime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_new_once_it_is_whole_and_again_when_it_is_another() {
        let home = tempfile::tempdir().unwrap();
        let mut watcher = Watcher::start(home.path());
        let (part, whole) = (home.path().join("a.part"), home.path().join("a.wasm"));
        for content in ["one", "another"] {
            fs::write(&part, content).unwrap();
            fs::rename(&part, &whole).unwrap();
            let found = tokio::time::timeout(POLL * 4, watcher.changed()).await.unwrap();
            assert_eq!(found, [Found::New(whole.clone())]);
        }
        fs::remove_file(&whole).unwrap();
        let found = tokio::time::timeout(POLL * 4, watcher.changed()).await.unwrap();
        assert_eq!(found, [Found::Gone(whole.clone())]);
    }
}
