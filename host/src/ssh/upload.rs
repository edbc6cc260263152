//! Files on servers: written whole or not at all, read up to a limit.

use crate::ssh::SshError;
use crate::ssh::connection::Connection;
use crate::ssh::script::{self, DOWNLOAD, Nonce, UPLOAD};

/// The longest path that Linux takes.
const PATH_LIMIT: usize = 4096;

/// Writes a file.
pub(super) async fn upload(
    connection: &Connection,
    path: &str,
    content: &[u8],
    mode: u32,
) -> Result<(), SshError> {
    check(path)?;
    let input = |nonce: &Nonce| {
        let (mode, size) = (mode & 0o7777, content.len());
        let head = format!("{nonce} {mode:o} {size}\n{}\n", script::encoded(path));
        [head.as_bytes(), content].concat()
    };
    script::ask(connection, &UPLOAD, &input).await.map(drop)
}

/// Reads a file.
pub(super) async fn download(
    connection: &Connection,
    path: &str,
    limit: usize,
) -> Result<Vec<u8>, SshError> {
    check(path)?;
    let input =
        |nonce: &Nonce| format!("{nonce} {limit}\n{}\n", script::encoded(path)).into_bytes();
    let (_, content) = script::ask(connection, &DOWNLOAD, &input).await?;
    if content.len() > limit {
        return Err(SshError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(content)
}

fn check(path: &str) -> Result<(), SshError> {
    let refused = |why: &str| {
        let shown: String = path.chars().take(100).collect();
        Err(SshError::Refused { message: format!("`{}` {why}", shown.escape_debug()) })
    };
    if !path.starts_with('/') {
        return refused("is no absolute path");
    }
    if path.chars().any(char::is_control) {
        return refused("has control characters in it");
    }
    if path.len() > PATH_LIMIT {
        return refused("is too long for a path");
    }
    Ok(())
}
