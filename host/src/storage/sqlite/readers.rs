//! Reading beside the writer: a few read-only connections, each used by one call at a time.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::storage::StorageError;
use crate::storage::sqlite::damage::Damage;
use crate::storage::sqlite::fault::Fault;
use crate::storage::sqlite::schema;
use crate::storage::sqlite::verb::cached;

/// The connections that read.
pub(super) struct Readers {
    pool: Arc<Pool>,
    permits: Arc<Semaphore>,
    /// How many short reads may be done on the runtime's own threads now.
    at_once: Semaphore,
    shown: Arc<str>,
    damage: Arc<Damage>,
}

/// The connections that nobody uses now.
struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// At most `count` connections to the database at `path`, opened when they are needed, and those
    /// of short reads.
    pub(super) fn new(path: PathBuf, shown: Arc<str>, count: usize, damage: Arc<Damage>) -> Self {
        let pool = Arc::new(Pool { path, idle: Mutex::default() });
        let permits = Arc::new(Semaphore::new(count.max(1)));
        Self { pool, permits, at_once: Semaphore::new(spare_threads()), shown, damage }
    }

    /// Runs `verb` on one state of the database, off the runtime's threads.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        verb: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StorageError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_closed| StorageError::Closed)?;
        let pool = Arc::clone(&self.pool);
        let reading = tokio::task::spawn_blocking(move || {
            let _held = permit;
            pool.read(verb)
        });
        match reading.await {
            Ok(answer) => self.told(doing, answer),
            Err(error) => Err(StorageError::Failed { doing, reason: error.to_string() }),
        }
    }

    /// The same for a `verb` that looks at a few rows: what it needs is nearly always in memory, and
    /// waking another thread takes longer than it does. Where the disk has to be asked and does not
    /// answer, one of the runtime's threads is left for everybody else.
    pub(super) async fn read_short<T: Send + 'static>(
        &self,
        doing: &'static str,
        verb: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StorageError> {
        match self.at_once() {
            Some(_permit) => self.told(doing, self.pool.read(verb)),
            None => self.read(doing, verb).await,
        }
    }

    fn at_once(&self) -> Option<SemaphorePermit<'_>> {
        self.at_once.try_acquire().ok()
    }

    fn told<T>(&self, doing: &'static str, answer: Result<T, Fault>) -> Result<T, StorageError> {
        answer.map_err(|fault| {
            if let Some(cause) = fault.cause() {
                self.damage.note(cause);
            }
            fault.told(&self.shown, doing)
        })
    }

    /// Takes no more calls, and closes what is idle.
    pub(super) fn close(&self) {
        self.permits.close();
        self.at_once.close();
        self.pool.idle().clear();
    }
}

impl Pool {
    fn read<T>(&self, verb: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let kept = self.idle().pop();
        let connection = kept.map_or_else(|| schema::open_reader(&self.path), Ok)?;
        let answer = snapshot(&connection, verb);
        if connection.is_autocommit() {
            self.idle().push(connection);
        }
        answer
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many of the runtime's threads may wait for a disk while one goes on.
fn spare_threads() -> usize {
    let runtime = tokio::runtime::Handle::try_current();
    runtime.map_or(0, |runtime| runtime.metrics().num_workers().saturating_sub(1))
}

fn snapshot<T>(
    connection: &Connection,
    verb: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    cached(connection, "BEGIN")?;
    let answer = verb(connection);
    cached(connection, "COMMIT")?;
    answer
}
