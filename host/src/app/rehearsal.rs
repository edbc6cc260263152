//! Jobs of any operation, for whoever tries a plugin out on a host where everything is simulated. No
//! door to the outside has this verb.

use serde_json::Value;

use crate::app::access::Operator;
use crate::app::servers::Wish;
use crate::error::Error;
use crate::model::names::{JobId, OperationName, ServerName};
use crate::storage::{self, ServerChange};

impl Operator {
    /// Makes a job that runs this operation on a server.
    #[tracing::instrument(skip_all, fields(%operation, %server))]
    pub async fn rehearse(
        &self,
        operation: &OperationName,
        params: Value,
        server: ServerName,
    ) -> Result<JobId, Error> {
        let (change, now) = (ServerChange::None, storage::now());
        let wish = Wish { server, params, change, key: None, now };
        self.submit(operation.as_str(), wish).await
    }
}
