//! A loaded component: its bytes, what it says of itself, and its compiled code.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;
use tracing::warn;

use crate::effects::grants::Allowed;
use crate::model::job::PluginPin;
use crate::model::names::{Digest, OperationName};
use crate::plugins::content::Content;
use crate::plugins::descriptor::Descriptor;
use crate::plugins::engine::{Engine, Prepared};
use crate::plugins::fit;
use crate::plugins::schema::{FieldError, Schema};

/// A component that the host can run.
pub struct Plugin {
    /// What it says of itself.
    pub descriptor: Descriptor,
    /// The operations that it provides, its first use first.
    pub operations: Vec<OperationName>,
    /// The digest of its bytes.
    pub digest: Digest,
    content: Content,
    allowed: Arc<Allowed>,
    params: Schema,
    result: Schema,
    compiled: OnceCell<Prepared>,
}

impl Plugin {
    /// Reads a component. Its code and its schemas are compiled when they are first needed.
    ///
    /// # Errors
    /// When the bytes are no component with a descriptor that can be used.
    pub fn read(content: impl Into<Content>) -> Result<Self, PluginError> {
        let content = content.into();
        let bytes = content.whole();
        let descriptor = Descriptor::of(&bytes)?;
        let operations = descriptor.operations()?;
        let digest = digest_of(&bytes)?;
        drop(bytes);
        let (params, result, compiled) = (Schema::default(), Schema::default(), OnceCell::new());
        let allowed = Arc::new(Allowed::new(descriptor.grants.clone()));
        Ok(Self { descriptor, operations, digest, content, allowed, params, result, compiled })
    }

    /// Checks, without compiling it, that it is made for this host: its schemas, what it imports and
    /// asks for, and what it exports.
    ///
    /// # Errors
    /// The first thing that is not.
    pub fn check_contract(&self) -> Result<(), PluginError> {
        self.check_schemas()?;
        let bytes = self.bytes();
        fit::check_imports(&bytes, &self.descriptor)?;
        fit::check_exports(self.descriptor.kind, &bytes)
    }

    /// The component.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        self.content.whole()
    }

    /// How many bytes the component has.
    pub fn size(&self) -> usize {
        self.content.size()
    }

    /// What it is allowed now: all that it wants, unless somebody says otherwise.
    pub const fn allowed(&self) -> &Arc<Allowed> {
        &self.allowed
    }

    /// Compiles the schemas now. For plugins that no test of ours has seen.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn check_schemas(&self) -> Result<(), PluginError> {
        for (what, schema, text) in [
            ("parameters", &self.params, &self.descriptor.params),
            ("result", &self.result, &self.descriptor.result),
        ] {
            schema.compiled(text).map_err(|reason| PluginError::BadDescriptor {
                reason: format!("the schema of its {what}: {reason}"),
            })?;
        }
        Ok(())
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
        let secrets: Vec<&str> = self.descriptor.secret_properties().collect();
        self.params.check(&self.descriptor.params, params, &secrets)
    }

    /// Checks a result against the descriptor's schema.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check_result(&self, result: &Value) -> Result<(), Vec<FieldError>> {
        self.result.check(&self.descriptor.result, result, &[])
    }

    /// The compiled component, ready to be instantiated. The first call sees that it is compiled,
    /// and all others wait for it: a hundred first jobs are no hundred compilations.
    ///
    /// # Errors
    /// When it does not compile, or wants what the host does not have.
    pub async fn prepared(self: &Arc<Self>, engine: &Arc<Engine>) -> Result<Prepared, PluginError> {
        self.compiled.get_or_try_init(|| self.prepare(engine)).await.cloned()
    }

    async fn prepare(self: &Arc<Self>, engine: &Arc<Engine>) -> Result<Prepared, PluginError> {
        let known = self.with_bytes(engine, |engine, plugin, bytes| {
            engine.prepare_known(plugin.descriptor.kind, &plugin.digest, bytes)
        });
        if let Some(known) = known.await? {
            return Ok(known);
        }
        match engine.compile_apart(&self.bytes()).await {
            // Its own trouble, such as a full disk, which does not keep jobs from running.
            Err(PluginError::Engine { reason }) => {
                warn!(plugin = %self.descriptor.name, reason, "compiling in the host itself");
            }
            done => done?,
        }
        self.with_bytes(engine, |engine, plugin, bytes| {
            engine.prepare(plugin.descriptor.kind, &plugin.digest, bytes)
        })
        .await
    }

    /// Does this off the runtime's threads.
    async fn with_bytes<T: Send + 'static>(
        self: &Arc<Self>,
        engine: &Arc<Engine>,
        work: impl FnOnce(&Engine, &Self, &[u8]) -> Result<T, PluginError> + Send + 'static,
    ) -> Result<T, PluginError> {
        let (plugin, engine) = (Arc::clone(self), Arc::clone(engine));
        tokio::task::spawn_blocking(move || work(&engine, &plugin, &plugin.bytes()))
            .await
            .map_err(|error| PluginError::Engine { reason: error.to_string() })?
    }
}

/// The digest of a component.
pub(super) fn digest_of(bytes: &[u8]) -> Result<Digest, PluginError> {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes))).parse().map_err(|_impossible| {
        PluginError::Engine { reason: "a digest was not of a digest's form".to_owned() }
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
    /// A file of plugins that is of no use.
    #[error("the plugin {} cannot be loaded: {reason}", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Two plugins want to be the same.
    #[error("two plugins are named `{name}`")]
    Twice {
        /// That name.
        name: String,
    },
    /// It would take too much.
    #[error(
        "compiling this plugin came to no end: it may take {seconds} s of processor time and \
         {memory_mib} MiB of memory; make it smaller"
    )]
    TooCostly {
        /// Of a processor.
        seconds: u64,
        /// Of memory.
        memory_mib: u64,
    },
    /// The host's own trouble.
    #[error("the plugin engine failed: {reason}")]
    Engine {
        /// What it says.
        reason: String,
    },
}
