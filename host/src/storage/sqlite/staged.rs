//! Records that are put into a new database as they are: those of a host that something is
//! rehearsed for.

use crate::model::app::AppRecord;
use crate::model::server::Server;
use crate::storage::StorageError;
use crate::storage::sqlite::{Sqlite, apps, config, servers};

/// What a host knows of its servers.
#[derive(Clone, Debug, Default)]
pub struct Staged {
    /// Their records.
    pub servers: Vec<Server>,
    /// Those of their apps.
    pub apps: Vec<AppRecord>,
    /// Sealed secrets, by name.
    pub secrets: Vec<(String, Vec<u8>)>,
}

impl Sqlite {
    /// Writes all of it, durably.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn stage(&self, staged: Staged) -> Result<(), StorageError> {
        let doing = "wrote what a plan is made for";
        let write = move |writing: &mut crate::storage::sqlite::verb::Writing<'_>| {
            for server in &staged.servers {
                servers::put(writing.connection, server)?;
            }
            for app in &staged.apps {
                apps::put(writing.connection, app)?;
            }
            for (name, sealed) in &staged.secrets {
                config::put_secret(writing.connection, name, sealed)?;
            }
            Ok(())
        };
        self.writer.durable(doing, write).await
    }
}
