//! The one writer: a thread that owns the connection. It takes all that waits, writes it in one
//! transaction, and answers everybody after the one commit (group commit).
//!
//! Verbs are *durable* (the commit is on disk when they are answered), *ordered* (written after all
//! that was deferred before, and synced with the next durable one or after a while) or *relaxed*
//! (written at once, and synced with the next durable one). What is *deferred* has no answer: it
//! waits in memory for the next durable or ordered verb, or for its time, and keeps its place in the
//! order.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{broadcast, oneshot};
use tracing::{info, warn};

use crate::model::job::Lease;
use crate::storage::sqlite::batch::{BATCH, Batch, Crowd, Message, Origin, Urgency};
use crate::storage::sqlite::damage::Damage;
use crate::storage::sqlite::disk::Disk;
use crate::storage::sqlite::fault::{Cause, Fault};
use crate::storage::sqlite::journal::{self, Deferred};
use crate::storage::sqlite::mark::Mark;
use crate::storage::sqlite::schema::{Synchronous, set_synchronous};
use crate::storage::sqlite::verb::{
    Answer, Done, Verb, Writing, cached, count, lost, run_verb, savepoint,
};
use crate::storage::{Change, StorageError};

/// The most that is kept in memory while the disk takes nothing.
const HELD: usize = 20_000;

/// The handle: sends messages to the thread.
pub(super) struct Writer {
    inbox: mpsc::Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
    path: Arc<str>,
    disk: Arc<Disk>,
}

/// What the writer owns of the database's files.
pub(super) struct Opened {
    /// The one connection that writes.
    pub(super) connection: Connection,
    /// What was confirmed.
    pub(super) mark: Mark,
    /// What readers and the writer found.
    pub(super) damage: Arc<Damage>,
}

impl Writer {
    /// Starts the thread. `hold` is how long deferred writes may wait.
    pub(super) fn start(
        file: Opened,
        path: Arc<str>,
        changes: broadcast::Sender<Change>,
        hold: Duration,
    ) -> Result<Self, StorageError> {
        let (inbox, messages) = mpsc::channel();
        let disk = Arc::new(Disk::default());
        let Opened { connection, mark, damage } = file;
        let owner = Owner {
            connection,
            mark,
            damage,
            messages,
            changes,
            disk: Arc::clone(&disk),
            synchronous: Synchronous::Full,
            hold,
            due: None,
            has_unsynced: false,
            crowd: Crowd::default(),
            pace: Duration::ZERO,
            held: Vec::new(),
            abandoned: Vec::new(),
            is_failing: false,
        };
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || owner.run())
            .map_err(|error| StorageError::Failed {
                doing: "started its writer",
                reason: error.to_string(),
            })?;
        Ok(Self { inbox, thread: Mutex::new(Some(thread)), path, disk })
    }

    /// Runs `verb` and answers when it is on disk.
    pub(super) async fn durable<T: Send + 'static>(
        &self,
        doing: &'static str,
        verb: impl FnOnce(&mut Writing<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StorageError> {
        self.send(Urgency::Durable, Origin::Caller, doing, verb).await
    }

    /// The same, for a run, which is waited for when it is known to come soon.
    pub(super) async fn durable_from<T: Send + 'static>(
        &self,
        from: Origin,
        doing: &'static str,
        verb: impl FnOnce(&mut Writing<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StorageError> {
        self.send(Urgency::Durable, from, doing, verb).await
    }

    /// Runs `verb` after all that was deferred before, and answers when that and it are written; a
    /// power cut may lose the end of it all, never the middle.
    pub(super) async fn ordered<T: Send + 'static>(
        &self,
        doing: &'static str,
        verb: impl FnOnce(&mut Writing<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StorageError> {
        self.send(Urgency::Ordered, Origin::Caller, doing, verb).await
    }

    /// Runs `verb` and answers when it is written; a power cut may lose it.
    pub(super) async fn relaxed<T: Send + 'static>(
        &self,
        doing: &'static str,
        verb: impl FnOnce(&mut Writing<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StorageError> {
        self.send(Urgency::Relaxed, Origin::Caller, doing, verb).await
    }

    /// Has it written before whatever is sent after it.
    pub(super) fn defer(&self, deferred: Deferred) {
        if self.inbox.send(Message::Deferred(Box::new(deferred))).is_err() {
            warn!("a journal entry came after the database was closed");
        }
    }

    /// How many commits waited for the disk until now.
    pub(super) fn syncs(&self) -> u64 {
        self.disk.syncs.load(Ordering::Relaxed)
    }

    /// What is known of the disk.
    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Waits until all that could be read before is on disk. It nearly always is.
    pub(super) async fn settle(&self) -> Result<(), StorageError> {
        if !self.disk.has_unsynced.load(Ordering::Acquire) {
            return Ok(());
        }
        self.durable("synced what was written", |_| Ok(())).await
    }

    /// Writes what is held and ends the thread. What is sent later is refused.
    pub(super) async fn close(&self) {
        let (closed, wait) = oneshot::channel();
        if self.inbox.send(Message::Close(closed)).is_ok() {
            wait.await.ok();
        }
        self.disk.forget();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            tokio::task::spawn_blocking(move || thread.join().ok()).await.ok();
        }
    }

    async fn send<T: Send + 'static>(
        &self,
        urgency: Urgency,
        from: Origin,
        doing: &'static str,
        verb: impl FnOnce(&mut Writing<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (answer, wait) = oneshot::channel();
        let path = Arc::clone(&self.path);
        let verb: Verb = Box::new(move |writing| {
            let result = match writing {
                Ok(writing) => verb(writing),
                Err(cause) => Err(Fault::Sql(cause.clone())),
            };
            Done {
                kept: result.is_ok(),
                cause: result.as_ref().err().and_then(Fault::cause).cloned(),
                answer: Box::new(move |committed| {
                    let result = result.map_err(|fault| fault.told(&path, doing));
                    let result = match committed {
                        Ok(()) => result,
                        Err(cause) => result.and(Err(cause.told(&path, doing))),
                    };
                    answer.send(result).ok();
                }),
            }
        });
        self.inbox
            .send(Message::Verb { urgency, from, verb })
            .map_err(|_gone| StorageError::Closed)?;
        wait.await.unwrap_or(Err(StorageError::Closed))
    }
}

/// The thread's own: nobody else has the connection.
struct Owner {
    connection: Connection,
    mark: Mark,
    damage: Arc<Damage>,
    messages: mpsc::Receiver<Message>,
    changes: broadcast::Sender<Change>,
    disk: Arc<Disk>,
    synchronous: Synchronous,
    hold: Duration,
    /// When what is held or not synced must be on disk.
    due: Option<Instant>,
    /// Whether something is written that may not be on disk.
    has_unsynced: bool,
    /// Who is expected to write soon.
    crowd: Crowd,
    /// How long the disk took for the last commit.
    pace: Duration,
    /// Deferred writes that are not committed, in order.
    held: Vec<Deferred>,
    /// Whose deferred writes were lost: they may not write any more.
    abandoned: Vec<Lease>,
    is_failing: bool,
}

impl Owner {
    fn run(mut self) {
        loop {
            let batch = self.next_batch();
            let (close, is_last) = (batch.close, batch.is_last);
            let is_due = self.due.is_some_and(|due| due <= Instant::now());
            if is_due || is_last || self.held.len() >= BATCH {
                self.commit(Urgency::Durable, batch.messages);
            } else if let Some(urgency) = batch.urgency {
                self.commit(urgency, batch.messages);
            } else {
                batch.messages.into_iter().for_each(|message| self.keep(message));
            }
            if is_last {
                drop(self);
                close.and_then(|closed| closed.send(()).ok());
                return;
            }
        }
    }

    fn next_batch(&mut self) -> Batch {
        let mut batch = Batch::default();
        let mut next = match self.due {
            None => self.messages.recv().map_err(|_gone| mpsc::RecvTimeoutError::Disconnected),
            Some(due) => self.messages.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        self.crowd.forget(Instant::now());
        loop {
            match next {
                Ok(Message::Close(closed)) => {
                    batch.close = Some(closed);
                    batch.is_last = true;
                    return batch;
                }
                // What waits for no disk does not wait with those who do.
                Ok(message) if batch.durable > 0 && message.is_relaxed() => {
                    self.commit(Urgency::Relaxed, vec![message]);
                }
                Ok(message) => {
                    let now = Instant::now();
                    self.crowd.came(&message, now);
                    batch.take(message, now);
                    if batch.messages.len() >= BATCH {
                        return batch;
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) => return batch,
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    batch.is_last = true;
                    return batch;
                }
            }
            let patience = self.crowd.patience(&batch, self.pace, Instant::now());
            next = self.messages.recv_timeout(patience);
        }
    }

    /// Holds a deferred write. When there is no room its job stops here: a journal with a hole
    /// would be believed.
    fn keep(&mut self, message: Message) {
        let Message::Deferred(deferred) = message else { return };
        self.due.get_or_insert_with(|| Instant::now() + self.hold);
        if self.held.len() < HELD {
            self.held.push(*deferred);
        } else if !self.abandoned.contains(deferred.lease()) {
            self.abandoned.push(deferred.lease().clone());
        }
    }

    fn commit(&mut self, urgency: Urgency, messages: Vec<Message>) {
        let runs: Vec<u64> = messages.iter().filter_map(Message::run).collect();
        let mut waiting = Vec::new();
        let before = self.connection.total_changes();
        if urgency != Urgency::Durable {
            // Whoever reads what is written now, before it is on disk, has to know.
            self.disk.has_unsynced.store(true, Ordering::Release);
        }
        let result = self.write(urgency, messages, &mut waiting);
        if result.is_ok() {
            self.settle(urgency, self.connection.total_changes() > before);
        }
        self.disk.has_unsynced.store(self.has_unsynced, Ordering::Release);
        for change in result.iter().flatten() {
            // Nobody listening is no failure.
            self.changes.send(change.clone()).ok();
        }
        self.report(result.as_ref().err());
        if urgency == Urgency::Durable {
            self.crowd.answered(&runs, Instant::now());
        }
        for answer in waiting {
            answer(result.as_ref().map(|_| ()));
        }
    }

    /// What was held is written, and perhaps on disk.
    fn settle(&mut self, urgency: Urgency, is_written: bool) {
        match urgency {
            Urgency::Relaxed => self.has_unsynced |= is_written,
            Urgency::Ordered => {
                self.has_unsynced |= is_written;
                if is_written {
                    self.due.get_or_insert_with(|| Instant::now() + self.hold);
                }
            }
            Urgency::Durable => {
                self.due = None;
                self.has_unsynced = false;
                self.disk.syncs.fetch_add(u64::from(is_written), Ordering::Relaxed);
            }
        }
        if urgency >= Urgency::Ordered {
            self.held.clear();
            self.abandoned.clear();
        }
    }

    /// One transaction: what was held, then the messages in order. Relaxed verbs have nothing to
    /// do with what is deferred, and leave it held: what is deferred ends on disk.
    fn write(
        &mut self,
        urgency: Urgency,
        messages: Vec<Message>,
        waiting: &mut Vec<Answer>,
    ) -> Result<Vec<Change>, Cause> {
        let before = self.connection.total_changes();
        let mut failed = self.begin(urgency).err();
        let mut changes = Vec::new();
        let is_ordered = urgency >= Urgency::Ordered;
        if failed.is_none() && is_ordered {
            failed = self.write_held(&mut changes).err();
        }
        for message in messages {
            match message {
                Message::Verb { verb, .. } => {
                    let mut writing = Writing { connection: &self.connection, changes };
                    let done = match &failed {
                        Some(cause) => verb(Err(cause)),
                        None => run_verb(&mut writing, verb),
                    };
                    changes = writing.changes;
                    if let Some(cause) = &done.cause {
                        self.damage.note(cause);
                    }
                    failed = failed.or_else(|| lost(&self.connection, done.cause));
                    waiting.push(done.answer);
                }
                Message::Deferred(deferred) => {
                    if failed.is_none() && is_ordered {
                        failed = self.write_deferred(&deferred, &mut changes).err();
                    }
                    self.keep(Message::Deferred(deferred));
                }
                Message::Close(_) => {}
            }
        }
        let writes = self.has_unsynced || self.connection.total_changes() > before;
        let counted = urgency == Urgency::Durable && writes;
        let result = match failed {
            Some(cause) => Err(cause),
            None => self.end(counted).map_err(Cause::from),
        };
        if result.is_err() && !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK").ok();
        }
        result.map(|()| changes)
    }

    /// Commits. What is to reach the disk is counted, and with that there is something to sync also
    /// when all was written before.
    fn end(&mut self, counted: bool) -> rusqlite::Result<()> {
        let commits = counted.then(|| count(&self.connection)).transpose()?;
        let Some(commits) = commits else { return cached(&self.connection, "COMMIT") };
        self.disk.begin();
        let committed = cached(&self.connection, "COMMIT");
        self.pace = self.disk.end(committed.is_ok());
        committed?;
        self.mark.note(commits);
        Ok(())
    }

    fn begin(&mut self, urgency: Urgency) -> Result<(), Cause> {
        if let Some(cause) = self.damage.found() {
            return Err(cause.clone());
        }
        let wanted = match urgency {
            Urgency::Relaxed | Urgency::Ordered => Synchronous::Normal,
            Urgency::Durable => Synchronous::Full,
        };
        if self.synchronous != wanted {
            let set = set_synchronous(&self.connection, wanted);
            set.map_err(|fault| match fault {
                Fault::Sql(cause) => cause,
                other => Cause::other(&format!("{other:?}")),
            })?;
            self.synchronous = wanted;
        }
        cached(&self.connection, "BEGIN IMMEDIATE").map_err(Cause::from)
    }

    fn write_held(&self, changes: &mut Vec<Change>) -> Result<(), Cause> {
        for deferred in &self.held {
            self.write_deferred(deferred, changes)?;
        }
        for lease in &self.abandoned {
            journal::abandon(&self.connection, lease).map_err(Cause::from)?;
        }
        Ok(())
    }

    /// Writes one, or says that the whole transaction must wait for better times.
    fn write_deferred(&self, deferred: &Deferred, changes: &mut Vec<Change>) -> Result<(), Cause> {
        let mut writing =
            Writing { connection: &self.connection, changes: std::mem::take(changes) };
        let result = savepoint(&mut writing, |writing| deferred.write(writing));
        *changes = writing.changes;
        match result {
            Ok(()) | Err(Fault::Told(StorageError::LeaseLost { .. })) => Ok(()),
            Err(Fault::Sql(cause)) if cause.is_of_the_moment() => Err(cause),
            Err(fault) => {
                let job = &deferred.lease().job;
                warn!(job.id = %job, ?fault, "a journal entry cannot be written; the job stops");
                journal::abandon(&self.connection, deferred.lease()).map_err(Cause::from)
            }
        }
    }

    fn report(&mut self, failure: Option<&Cause>) {
        match failure {
            Some(cause) => {
                self.damage.note(cause);
                self.disk.forget();
                let waits = self.has_unsynced || !self.held.is_empty();
                self.due = waits.then(|| Instant::now() + self.hold);
                if !self.is_failing {
                    warn!(reason = %cause, "the database takes no writes; trying on");
                }
            }
            None if self.is_failing => info!("the database takes writes again"),
            None => {}
        }
        self.is_failing = failure.is_some();
    }
}
