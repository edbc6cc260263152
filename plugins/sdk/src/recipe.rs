//! Apps that are told by data: which secrets, databases and names they need, and a Compose file with
//! placeholders. [`Recipe::deploy`] and [`Recipe::remove`] are all that most of them need; one that
//! needs more calls the steps of [`Deployment`] itself.

mod deployment;
mod names;
mod place;
mod removal;
mod rendering;
mod values;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Failure;
pub use deployment::Deployment;
pub use rendering::Rendered;

/// What `deploy` and `undeploy` of an app are told.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    /// Where.
    pub server: String,
    /// Which.
    pub app: String,
    /// What the operator chose. Values that are secret are references.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// Whether a removal takes the data too.
    #[serde(default)]
    pub delete_data: bool,
}

/// What a deployment answers.
#[derive(Clone, Debug, Serialize)]
pub struct Deployed {
    /// Which.
    pub app: String,
    /// Where.
    pub server: String,
    /// Whether anything was not yet as it should be.
    pub changed: bool,
    /// Where it can be reached.
    pub urls: Vec<String>,
}

/// What a removal answers.
#[derive(Clone, Debug, Serialize)]
pub struct Removed {
    /// Which.
    pub app: String,
    /// From where.
    pub server: String,
    /// Whether anything was still there.
    pub changed: bool,
}

/// The data of a recipe, as packing made it.
#[derive(Debug, Deserialize)]
pub struct Recipe {
    name: String,
    steps: Vec<String>,
    secrets: Vec<Secret>,
    databases: Vec<Database>,
    config: Vec<Property>,
    routes: Vec<Route>,
    after: Vec<Command>,
    notes: Vec<String>,
    healthy_s: u64,
    compose: Value,
}

#[derive(Debug, Deserialize)]
struct Secret {
    /// Its whole name, such as `postgres/password`.
    name: String,
    /// What placeholders call it.
    placeholder: String,
    length: u32,
    alphabet: String,
    bcrypt: bool,
}

#[derive(Debug, Deserialize)]
struct Database {
    name: String,
    engine: String,
}

#[derive(Debug, Deserialize)]
struct Property {
    name: String,
    secret: bool,
}

#[derive(Debug, Deserialize)]
struct Route {
    prefix: String,
    service: String,
    port: u16,
    path: Option<String>,
    health: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Command {
    service: String,
    arguments: Vec<String>,
    stdin: Option<String>,
    timeout_s: u64,
}

impl Recipe {
    /// The data that this component was packed with.
    ///
    /// # Errors
    /// When it is not of the form that this SDK reads.
    pub fn read() -> Result<Self, Failure> {
        Self::parse(&crate::source_bindings::windlass::recipe::source::read())
    }

    /// Reads what packing made.
    ///
    /// # Errors
    /// When it is not of the form that this SDK reads.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        serde_json::from_str(text).map_err(|error| {
            let message = format!("the recipe's data cannot be read, pack it anew: {error}");
            Failure::new("bad_recipe", message)
        })
    }

    /// Makes the app run as the parameters say; the same again changes nothing.
    ///
    /// # Errors
    /// The first step that fails, and why.
    pub fn deploy(&self, params: &Params) -> Result<Deployed, Failure> {
        let mut deployment = self.begin(params)?;
        deployment.prepare_secrets()?;
        deployment.prepare_databases()?;
        deployment.deploy_stack()?;
        deployment.configure_names()?;
        deployment.wait_until_healthy()?;
        deployment.finish()
    }

    /// Plans the steps and looks at the server.
    ///
    /// # Errors
    /// When the server cannot have this app.
    pub fn begin(&self, params: &Params) -> Result<Deployment<'_>, Failure> {
        Deployment::begin(self, params)
    }

    /// Takes the app away, with its data where that was asked for.
    ///
    /// # Errors
    /// The first step that fails, and why.
    pub fn remove(&self, params: Params) -> Result<Removed, Failure> {
        removal::remove(self, params)
    }
}
