//! The usual port of web servers on this machine's loopback. Tests have it in turn, also those of
//! other processes.

use std::fs::File;

use tokio::net::TcpListener;

/// The port, as long as this lives.
pub struct WebPort {
    /// Who listens there.
    pub listener: TcpListener,
    /// Other tests wait for the end of this.
    pub turn: File,
}

impl WebPort {
    /// Waits until no other test has it. None, and a line that says so, where this user may not
    /// listen there or some other program does.
    pub async fn take(test: &str) -> Option<Self> {
        let path = std::env::temp_dir().join("windlass-tests-web-port");
        let turn = File::options().create(true).append(true).open(path).unwrap();
        turn.lock().unwrap();
        match TcpListener::bind(("127.0.0.1", 80)).await {
            Ok(listener) => Some(Self { listener, turn }),
            Err(error) => {
                crate::lab::skip(test, &format!("port 80 of this machine: {error}"));
                None
            }
        }
    }
}
