//! What goes wrong below the store's verbs, before it is told to a caller.

use std::fmt::Display;
use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::ErrorCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::storage::StorageError;

/// Why a verb did not do it.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite says no.
    Sql(Cause),
    /// A row holds what this host cannot read.
    Stored(String),
    /// Something that the caller has to know as it is.
    Told(StorageError),
}

/// SQLite's reason.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    /// What kind of reason, where SQLite gave one.
    pub(super) code: Option<ErrorCode>,
    reason: String,
}

impl Fault {
    /// The error for a caller who wanted `doing` of the database at `path`.
    pub(super) fn told(self, path: &str, doing: &'static str) -> StorageError {
        match self {
            Self::Sql(cause) => cause.told(path, doing),
            Self::Stored(reason) => StorageError::Damaged { path: path.to_owned(), reason },
            Self::Told(error) => error,
        }
    }

    /// SQLite's reason, if it is one.
    pub(super) const fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Sql(cause) => Some(cause),
            Self::Stored(_) | Self::Told(_) => None,
        }
    }
}

impl Cause {
    /// A reason that is not SQLite's own.
    pub(super) fn other(reason: &str) -> Self {
        Self { code: None, reason: reason.to_owned() }
    }

    /// The error for a caller who wanted `doing` of the database at `path`.
    pub(super) fn told(&self, path: &str, doing: &'static str) -> StorageError {
        let (path, reason) = (path.to_owned(), self.reason.clone());
        match self.code {
            Some(ErrorCode::DiskFull) => StorageError::DiskFull { path },
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                StorageError::ReadOnly { path, reason }
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StorageError::Damaged { path, reason }
            }
            _ => StorageError::Failed { doing, reason },
        }
    }

    /// Whether trying the same again later may help: it is the disk's or the lock's fault, not
    /// that of what was to be written.
    pub(super) const fn is_of_the_moment(&self) -> bool {
        !matches!(
            self.code,
            Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
        )
    }
}

impl Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)
    }
}

impl From<rusqlite::Error> for Cause {
    fn from(error: rusqlite::Error) -> Self {
        Self { code: error.sqlite_error_code(), reason: error.to_string() }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error.into())
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        Self::Told(error)
    }
}

/// A column's text as a value of ours.
pub(super) fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, Fault> {
    text.parse().map_err(|error: T::Err| Fault::Stored(error.to_string()))
}

/// A column's JSON as a value of ours.
pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::Stored(error.to_string()))
}

/// A value of ours as JSON for a column.
pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault::Stored(error.to_string()))
}

/// A column's microseconds as a time.
pub(super) fn time(micros: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_microsecond(micros).map_err(|error| Fault::Stored(error.to_string()))
}

/// A number of ours for a column. SQLite's integers are signed.
pub(super) fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A column's number as one of ours.
pub(super) fn number(column: i64) -> Result<u64, Fault> {
    u64::try_from(column).map_err(|error| Fault::Stored(error.to_string()))
}
