//! The one writer: a thread that owns the connection. It takes all that waits, writes it in one
//! transaction, and answers everybody after the one commit (group commit).
//!
//! Verbs are *durable* (the commit is on disk when they are answered) or *relaxed* (written, and
//! synced with the next durable one). What is *deferred* has no answer: it waits in memory for the
//! next verb, or for its time, and keeps its place in the order.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{broadcast, oneshot};
use tracing::{error, info, warn};

use crate::model::job::Lease;
use crate::storage::sqlite::fault::{Cause, Fault};
use crate::storage::sqlite::journal::{self, Deferred};
use crate::storage::sqlite::schema::{Synchronous, set_synchronous};
use crate::storage::{Change, StorageError};

/// Answers a caller, given how the commit went.
type Answer = Box<dyn FnOnce(Result<(), &Cause>) + Send>;

/// The most messages that share a commit: who comes first waits for who comes last.
const BATCH: usize = 512;

/// The most that is kept in memory while the disk takes nothing.
const HELD: usize = 20_000;

/// The handle: sends messages to the thread.
pub(super) struct Writer {
    inbox: mpsc::Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
    path: Arc<str>,
    syncs: Arc<AtomicU64>,
}

/// A transaction in which a verb writes.
pub(super) struct Writing<'c> {
    /// The connection, inside the transaction.
    pub(super) connection: &'c Connection,
    changes: Vec<Change>,
}

enum Message {
    Verb { urgency: Synchronous, verb: Verb },
    Deferred(Box<Deferred>),
    Close(oneshot::Sender<()>),
}

/// Given the transaction, or why there is none.
type Verb = Box<dyn FnOnce(Result<&mut Writing<'_>, &Cause>) -> Done + Send>;

/// A verb that ran and waits for the commit.
struct Done {
    /// Whether what it wrote stays.
    kept: bool,
    /// SQLite's reason, if it was one.
    cause: Option<Cause>,
    answer: Answer,
}

impl Writing<'_> {
    /// Notes what is told to everybody after the commit.
    pub(super) fn changed(&mut self, change: Change) {
        if self.changes.last() != Some(&change) {
            self.changes.push(change);
        }
    }
}

impl Writer {
    /// Starts the thread. `hold` is how long deferred writes may wait.
    pub(super) fn start(
        connection: Connection,
        path: Arc<str>,
        changes: broadcast::Sender<Change>,
        hold: Duration,
    ) -> Result<Self, StorageError> {
        let (inbox, messages) = mpsc::channel();
        let syncs = Arc::new(AtomicU64::new(0));
        let owner = Owner {
            connection,
            messages,
            changes,
            syncs: Arc::clone(&syncs),
            synchronous: Synchronous::Full,
            hold,
            due: None,
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
        Ok(Self { inbox, thread: Mutex::new(Some(thread)), path, syncs })
    }

    /// Runs `verb` and answers when it is on disk.
    pub(super) async fn durable<T: Send + 'static>(
        &self,
        doing: &'static str,
        verb: impl FnOnce(&mut Writing<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StorageError> {
        self.send(Synchronous::Full, doing, verb).await
    }

    /// Runs `verb` and answers when it is written; a power cut may lose it.
    pub(super) async fn relaxed<T: Send + 'static>(
        &self,
        doing: &'static str,
        verb: impl FnOnce(&mut Writing<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StorageError> {
        self.send(Synchronous::Normal, doing, verb).await
    }

    /// Has it written before whatever is sent after it.
    pub(super) fn defer(&self, deferred: Deferred) {
        if self.inbox.send(Message::Deferred(Box::new(deferred))).is_err() {
            warn!("a journal entry came after the database was closed");
        }
    }

    /// How many commits waited for the disk until now.
    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Writes what is held and ends the thread. What is sent later is refused.
    pub(super) async fn close(&self) {
        let (closed, wait) = oneshot::channel();
        if self.inbox.send(Message::Close(closed)).is_ok() {
            wait.await.ok();
        }
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            tokio::task::spawn_blocking(move || thread.join().ok()).await.ok();
        }
    }

    async fn send<T: Send + 'static>(
        &self,
        urgency: Synchronous,
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
        self.inbox.send(Message::Verb { urgency, verb }).map_err(|_gone| StorageError::Closed)?;
        wait.await.unwrap_or(Err(StorageError::Closed))
    }
}

/// The thread's own: nobody else has the connection.
struct Owner {
    connection: Connection,
    messages: mpsc::Receiver<Message>,
    changes: broadcast::Sender<Change>,
    syncs: Arc<AtomicU64>,
    synchronous: Synchronous,
    hold: Duration,
    /// When what is held must be written.
    due: Option<Instant>,
    /// Deferred writes that are not committed, in order.
    held: Vec<Deferred>,
    /// Whose deferred writes were lost: they may not write any more.
    abandoned: Vec<Lease>,
    is_failing: bool,
}

/// What one commit is for.
#[derive(Default)]
struct Batch {
    messages: Vec<Message>,
    /// The most urgent verb's, if there is one.
    urgency: Option<Synchronous>,
    close: Option<oneshot::Sender<()>>,
    is_last: bool,
}

impl Owner {
    fn run(mut self) {
        loop {
            let batch = self.next_batch();
            let (close, is_last) = (batch.close, batch.is_last);
            let is_due = self.due.is_some_and(|due| due <= Instant::now());
            if is_due || is_last || self.held.len() >= BATCH {
                self.commit(Synchronous::Full, batch.messages);
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
        loop {
            match next {
                Ok(Message::Close(closed)) => {
                    batch.close = Some(closed);
                    batch.is_last = true;
                    return batch;
                }
                Ok(message) => {
                    if let Message::Verb { urgency, .. } = message {
                        batch.urgency = batch.urgency.max(Some(urgency));
                    }
                    batch.messages.push(message);
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
            next = self.messages.try_recv().map_err(|error| match error {
                mpsc::TryRecvError::Empty => mpsc::RecvTimeoutError::Timeout,
                mpsc::TryRecvError::Disconnected => mpsc::RecvTimeoutError::Disconnected,
            });
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

    fn commit(&mut self, urgency: Synchronous, messages: Vec<Message>) {
        let mut waiting = Vec::new();
        let before = self.connection.total_changes();
        let result = self.write(urgency, messages, &mut waiting);
        if let Ok(changes) = &result {
            if urgency == Synchronous::Full {
                self.held.clear();
                self.abandoned.clear();
                self.due = None;
                let is_written = self.connection.total_changes() > before;
                self.syncs.fetch_add(u64::from(is_written), Ordering::Relaxed);
            }
            for change in changes {
                // Nobody listening is no failure.
                self.changes.send(change.clone()).ok();
            }
        }
        self.report(result.as_ref().err());
        for answer in waiting {
            answer(result.as_ref().map(|_| ()));
        }
    }

    /// One transaction: what was held, then the messages in order. Relaxed verbs have nothing to
    /// do with what is deferred, and leave it held: what is deferred ends on disk.
    fn write(
        &mut self,
        urgency: Synchronous,
        messages: Vec<Message>,
        waiting: &mut Vec<Answer>,
    ) -> Result<Vec<Change>, Cause> {
        let mut failed = self.begin(urgency).err();
        let mut changes = Vec::new();
        let is_full = urgency == Synchronous::Full;
        if failed.is_none() && is_full {
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
                    failed = failed.or_else(|| lost(&self.connection, done.cause));
                    waiting.push(done.answer);
                }
                Message::Deferred(deferred) => {
                    if failed.is_none() && is_full {
                        failed = self.write_deferred(&deferred, &mut changes).err();
                    }
                    self.keep(Message::Deferred(deferred));
                }
                Message::Close(_) => {}
            }
        }
        let result = match failed {
            Some(cause) => Err(cause),
            None => self.connection.execute_batch("COMMIT").map_err(Cause::from),
        };
        if result.is_err() && !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK").ok();
        }
        result.map(|()| changes)
    }

    fn begin(&mut self, urgency: Synchronous) -> Result<(), Cause> {
        if self.synchronous != urgency {
            let set = set_synchronous(&self.connection, urgency);
            set.map_err(|fault| match fault {
                Fault::Sql(cause) => cause,
                other => Cause::other(&format!("{other:?}")),
            })?;
            self.synchronous = urgency;
        }
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(Cause::from)
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
                self.due = self.held.first().map(|_| Instant::now() + self.hold);
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

/// Runs a verb so that its failure leaves the others of the transaction alone.
fn run_verb(writing: &mut Writing<'_>, verb: Verb) -> Done {
    let mark = writing.changes.len();
    if let Err(error) = cached(writing.connection, "SAVEPOINT verb") {
        return verb(Err(&error.into()));
    }
    let verb = AssertUnwindSafe(|| verb(Ok(&mut *writing)));
    let done = std::panic::catch_unwind(verb).unwrap_or_else(|_panic| {
        error!("a verb of the store panicked; its caller is refused");
        Done { kept: false, cause: None, answer: Box::new(|_| ()) }
    });
    if done.kept && cached(writing.connection, "RELEASE verb").is_ok() {
        return done;
    }
    writing.changes.truncate(mark);
    undo(writing.connection);
    done
}

/// The same for one whose answer is needed at once.
fn savepoint(
    writing: &mut Writing<'_>,
    verb: impl FnOnce(&mut Writing<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mark = writing.changes.len();
    cached(writing.connection, "SAVEPOINT verb")?;
    let result = verb(writing);
    if result.is_ok() {
        cached(writing.connection, "RELEASE verb")?;
    } else {
        writing.changes.truncate(mark);
        undo(writing.connection);
    }
    result
}

/// SQLite may have given up the whole transaction by itself: then there is no savepoint any more.
fn undo(connection: &Connection) {
    if !connection.is_autocommit() {
        let undone = connection.execute_batch("ROLLBACK TO verb; RELEASE verb");
        if let Err(error) = undone {
            warn!(reason = %error, "a savepoint could not be undone");
            connection.execute_batch("ROLLBACK").ok();
        }
    }
}

/// Why the transaction is gone, if it is.
fn lost(connection: &Connection, cause: Option<Cause>) -> Option<Cause> {
    connection
        .is_autocommit()
        .then(|| cause.unwrap_or_else(|| Cause::other("the transaction was given up")))
}

fn cached(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}
