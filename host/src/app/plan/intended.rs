//! What somebody wants done, before it is: to be planned, or begun.

use crate::app::access::Operator;
use crate::app::apps::{Installation, WantedApp};
use crate::app::repeats::Repeats;
use crate::app::servers::{Deletion, RequestKey, WantedServer};
use crate::app::setup::WantedSetup;
use crate::error::Error;
use crate::model::names::{AppName, JobId, ServerName};
use crate::storage;

/// Something that would become a job, or several.
#[derive(Clone, Debug)]
pub enum Intended {
    /// A server is to be made.
    CreateServer(WantedServer),
    /// A server is to be made ready for apps.
    SetUpServer(ServerName, WantedSetup),
    /// A server is to go.
    DeleteServer(ServerName, Deletion),
    /// An app is to run on a server.
    InstallApp(ServerName, WantedApp),
    /// An app is to go from a server.
    RemoveApp {
        /// Where.
        server: ServerName,
        /// Which.
        app: AppName,
        /// Whether its data goes too.
        delete_data: bool,
    },
}

impl Intended {
    /// The server that it is about.
    pub const fn server(&self) -> &ServerName {
        match self {
            Self::CreateServer(wanted) => &wanted.name,
            Self::SetUpServer(server, _)
            | Self::DeleteServer(server, _)
            | Self::InstallApp(server, _)
            | Self::RemoveApp { server, .. } => server,
        }
    }
}

impl Operator {
    /// Makes the jobs.
    pub async fn begin(
        &self,
        intended: &Intended,
        key: Option<RequestKey>,
    ) -> Result<Installation, Error> {
        let job = match intended.clone() {
            Intended::InstallApp(server, wanted) => {
                return self.install_app(&server, &wanted, key).await;
            }
            Intended::CreateServer(wanted) => self.create_server(wanted, key).await?,
            Intended::SetUpServer(server, wanted) => self.setup_server(server, wanted, key).await?,
            Intended::DeleteServer(server, how) => self.delete_server(server, how, key).await?,
            Intended::RemoveApp { server, app, delete_data } => {
                self.remove_app(&server, &app, delete_data, key).await?
            }
        };
        Ok(self.one(job))
    }

    /// One job that depends on no other.
    fn one(&self, job: JobId) -> Installation {
        let asked = self.asked(job);
        Installation {
            job: asked.job,
            depends_on: Vec::new(),
            deduplicated: asked.before,
            warnings: Vec::new(),
        }
    }

    /// The same caller, with nothing noted of what he asked for before.
    pub(super) fn for_rehearsal(&self) -> Self {
        let repeats = if self.joins() { Repeats::Join(Default::default()) } else { Repeats::Count };
        Self { repeats, ..self.clone() }
    }

    /// Whether a request with this key came before.
    pub(super) async fn is_remembered(&self, key: Option<&RequestKey>) -> Result<bool, Error> {
        let Some(key) = key else { return Ok(false) };
        let key = key.of(&self.by, storage::now());
        Ok(self.app.store.remembered(&key).await?.is_some())
    }
}
