//! Reading beside the writer: a few read-only connections, each used by one call at a time.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::storage::StorageError;
use crate::storage::sqlite::damage::Damage;
use crate::storage::sqlite::fault::Fault;
use crate::storage::sqlite::schema;

/// The connections that read.
pub(super) struct Readers {
    path: PathBuf,
    shown: Arc<str>,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    damage: Arc<Damage>,
}

impl Readers {
    /// At most `count` connections to the database at `path`, opened when they are needed.
    pub(super) fn new(path: PathBuf, shown: Arc<str>, count: usize, damage: Arc<Damage>) -> Self {
        let permits = Arc::new(Semaphore::new(count.max(1)));
        Self { path, shown, idle: Arc::default(), permits, damage }
    }

    /// Runs `verb` on one state of the database, off the runtime's threads.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        verb: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StorageError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_closed| StorageError::Closed)?;
        let (idle, path) = (Arc::clone(&self.idle), self.path.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let _held = permit;
            let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = kept.map_or_else(|| schema::open_reader(&path), Ok)?;
            let answer = snapshot(&connection, verb);
            if connection.is_autocommit() {
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            }
            answer
        });
        match reading.await {
            Ok(answer) => answer.map_err(|fault| {
                if let Some(cause) = fault.cause() {
                    self.damage.note(cause);
                }
                fault.told(&self.shown, doing)
            }),
            Err(error) => Err(StorageError::Failed { doing, reason: error.to_string() }),
        }
    }

    /// Takes no more calls, and closes what is idle.
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn snapshot<T>(
    connection: &Connection,
    verb: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    connection.execute_batch("BEGIN")?;
    let answer = verb(connection);
    connection.execute_batch("COMMIT")?;
    answer
}
