//! A loaded component: its bytes, what it says of itself, and its compiled code.

use std::sync::{Arc, OnceLock};

use bindings::{Guest, OperationPre};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::model::job::PluginPin;
use crate::model::names::{Digest, OperationName};
use crate::plugins::descriptor::Descriptor;
use crate::plugins::engine::Engine;

/// A component that the host can run.
pub struct Plugin {
    /// What it says of itself.
    pub descriptor: Descriptor,
    /// The operation that it provides.
    pub operation: OperationName,
    /// The digest of its bytes.
    pub digest: Digest,
    bytes: Vec<u8>,
    params: jsonschema::Validator,
    result: jsonschema::Validator,
    compiled: OnceLock<OperationPre<Guest>>,
}

/// One thing that is wrong with parameters.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Where, as a JSON pointer (RFC 6901).
    #[schema(example = "/name")]
    pub pointer: String,
    /// What is wrong with it, as a sentence.
    pub message: String,
}

impl Plugin {
    /// Reads a component. It is compiled when it is first needed.
    ///
    /// # Errors
    /// When the bytes are no component with a descriptor whose schemas can be used.
    pub fn read(bytes: Vec<u8>) -> Result<Self, PluginError> {
        let descriptor = Descriptor::of(&bytes)?;
        let operation = descriptor.operation()?;
        let digest = digest_of(&bytes)?;
        let params = schema("parameters", &descriptor.params)?;
        let result = schema("result", &descriptor.result)?;
        let compiled = OnceLock::new();
        Ok(Self { descriptor, operation, digest, bytes, params, result, compiled })
    }

    /// Which plugin this is, for a job's record.
    pub fn pin(&self) -> PluginPin {
        PluginPin {
            name: self.descriptor.name.clone(),
            version: self.descriptor.version.to_string(),
            digest: self.digest.clone(),
        }
    }

    /// Checks parameters against the descriptor's schema.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn check_params(&self, params: &Value) -> Result<(), Vec<FieldError>> {
        check(&self.params, params)
    }

    /// Checks a result against the descriptor's schema.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check_result(&self, result: &Value) -> Result<(), Vec<FieldError>> {
        check(&self.result, result)
    }

    /// The compiled component, ready to be instantiated. The first call compiles, off the
    /// runtime's threads.
    ///
    /// # Errors
    /// When it does not compile, or wants what the host does not have.
    pub async fn prepared(
        self: &Arc<Self>,
        engine: &Arc<Engine>,
    ) -> Result<OperationPre<Guest>, PluginError> {
        if let Some(ready) = self.compiled.get() {
            return Ok(ready.clone());
        }
        let (plugin, engine) = (Arc::clone(self), Arc::clone(engine));
        let compiled =
            tokio::task::spawn_blocking(move || engine.prepare(&plugin.digest, &plugin.bytes))
                .await
                .map_err(|e| PluginError::Engine { reason: e.to_string() })??;
        Ok(self.compiled.get_or_init(|| compiled).clone())
    }
}

fn schema(what: &str, schema: &Value) -> Result<jsonschema::Validator, PluginError> {
    jsonschema::validator_for(schema).map_err(|e| PluginError::BadDescriptor {
        reason: format!("the schema of its {what}: {e}"),
    })
}

fn check(schema: &jsonschema::Validator, value: &Value) -> Result<(), Vec<FieldError>> {
    let errors: Vec<FieldError> = schema
        .iter_errors(value)
        .map(|error| FieldError {
            pointer: error.instance_path().to_string(),
            message: error.to_string(),
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn digest_of(bytes: &[u8]) -> Result<Digest, PluginError> {
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}").parse().map_err(|_impossible| PluginError::Engine {
        reason: "a digest was not of a digest's form".to_owned(),
    })
}

/// Why a plugin cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// The bytes are something else.
    #[error("this is no WebAssembly component of WASI 0.2: {reason}")]
    NotAComponent {
        /// What the parser or compiler says.
        reason: String,
    },
    /// What it says of itself cannot be used.
    #[error("the descriptor of this plugin cannot be used: {reason}")]
    BadDescriptor {
        /// What is wrong.
        reason: String,
    },
    /// It was made for another host.
    #[error("this plugin does not fit this host's contract: {reason}")]
    DoesNotFit {
        /// The function or type, as wasmtime names it.
        reason: String,
    },
    /// Two plugins want to be the same.
    #[error("two plugins are named `{name}`")]
    Twice {
        /// That name.
        name: String,
    },
    /// The host's own trouble.
    #[error("the plugin engine failed: {reason}")]
    Engine {
        /// What it says.
        reason: String,
    },
}
