//! A bare writer with group commit: what the machine and SQLite allow whoever makes seven durable
//! writes for each job, whatever stands in them.

use std::sync::mpsc;

use anyhow::Result;
use rusqlite::Connection;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Jobs of all clients.
const JOBS: u32 = 5_000;

/// Durable writes of a job: its submission, five effects, its end.
const WRITES: u32 = 7;

/// Jobs a second.
pub(crate) async fn rate(clients: u32) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let database = Connection::open(folder.path().join("bare.db"))?;
    database.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE bare (number INTEGER PRIMARY KEY, text TEXT NOT NULL)",
    )?;
    let (inbox, messages) = mpsc::channel();
    let writer = std::thread::spawn(move || write(&database, &messages));
    let (began, mut tasks) = (std::time::Instant::now(), JoinSet::new());
    for _ in 0..clients {
        let inbox = inbox.clone();
        tasks.spawn(async move {
            for _ in 0..JOBS / clients * WRITES {
                let (written, wait) = oneshot::channel();
                inbox.send(written)?;
                wait.await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let rate = f64::from(JOBS / clients * clients) / began.elapsed().as_secs_f64();
    drop(inbox);
    writer.join().expect("the writer ends")?;
    Ok(rate)
}

/// Writes all that waits in one transaction, until nobody sends any more.
fn write(database: &Connection, messages: &mpsc::Receiver<oneshot::Sender<()>>) -> Result<()> {
    while let Ok(first) = messages.recv() {
        let batch: Vec<_> = std::iter::once(first).chain(messages.try_iter()).collect();
        database.execute_batch("BEGIN IMMEDIATE")?;
        for _ in &batch {
            let mut insert = database.prepare_cached("INSERT INTO bare (text) VALUES (?1)")?;
            insert.execute(["7".repeat(400)])?;
        }
        database.execute_batch("COMMIT")?;
        for written in batch {
            let _gone = written.send(());
        }
    }
    Ok(())
}
