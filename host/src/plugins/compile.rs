//! Compiling what strangers send, in a process of its own that may use only so much: a component can
//! be made to cost a compiler any time and memory.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use crate::model::limits::Limits;
use crate::plugins::engine::Engine;
use crate::plugins::plugin::{Plugin, PluginError};

/// The subcommand of our own program that does it.
pub const SUBCOMMAND: &str = "__compile";

/// How much larger code may be than the largest component.
const CODE: u64 = 2;
/// How much longer it may take by the clock than by the processor, which others want too.
const WAITING: Duration = Duration::from_secs(60);

/// What compiling one component may take.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// Seconds of a processor.
    pub seconds: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of the file with its code.
    pub file: u64,
}

impl Allowance {
    /// As an operator lets it be.
    pub fn of(limits: &Limits) -> Self {
        let largest = u64::try_from(limits.component_bytes).unwrap_or(u64::MAX);
        Self {
            seconds: limits.compile_time.as_secs(),
            memory: limits.compile_memory,
            file: largest.saturating_mul(CODE),
        }
    }
}

/// What the process says when it is done.
#[derive(Serialize, Deserialize)]
enum Said {
    /// The code is in the cache.
    Compiled,
    /// It is no component.
    NotAComponent(String),
    /// It does not fit.
    DoesNotFit(String),
    /// What it says of itself cannot be used.
    BadDescriptor(String),
    /// The process's own trouble.
    Failed(String),
}

/// A program that compiles components in a process of its own.
#[derive(Clone, Debug)]
pub struct Compiler {
    program: PathBuf,
    allowance: Allowance,
}

impl Compiler {
    /// Our own program, even when its file has been replaced since, with what an operator allows.
    pub fn own(limits: &Limits) -> Self {
        Self { program: PathBuf::from("/proc/self/exe"), allowance: Allowance::of(limits) }
    }

    /// Compiles a component into a folder of code.
    ///
    /// # Errors
    /// When it does not compile or does not fit, or takes more than it may.
    pub async fn compile(&self, cache: &Path, component: &[u8]) -> Result<(), PluginError> {
        let Allowance { seconds, memory, file } = self.allowance;
        let trouble = |error: std::io::Error| PluginError::Engine {
            reason: format!("the process that compiles plugins: {error}"),
        };
        let mut child = Command::new(&self.program)
            .arg(SUBCOMMAND)
            .arg(cache)
            .args([seconds, memory, file].map(|number| number.to_string()))
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(trouble)?;
        let patience = Duration::from_secs(seconds).saturating_add(WAITING);
        let talked = tokio::time::timeout(patience, talk(&mut child, component)).await;
        let Ok(answer) = talked else { return Err(too_costly(self.allowance)) };
        match serde_json::from_slice(&answer.map_err(trouble)?) {
            Ok(Said::Compiled) => Ok(()),
            Ok(Said::NotAComponent(reason)) => Err(PluginError::NotAComponent { reason }),
            Ok(Said::DoesNotFit(reason)) => Err(PluginError::DoesNotFit { reason }),
            Ok(Said::BadDescriptor(reason)) => Err(PluginError::BadDescriptor { reason }),
            Ok(Said::Failed(reason)) => Err(PluginError::Engine { reason }),
            // It came to no end of its own.
            Err(_) => Err(too_costly(self.allowance)),
        }
    }
}

/// Sends the component and hears the answer, whichever the other side does first.
async fn talk(child: &mut Child, component: &[u8]) -> std::io::Result<Vec<u8>> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let send = async {
        if let Some(mut stdin) = stdin {
            // One that died hears no more; its silence says so.
            stdin.write_all(component).await.unwrap_or_default();
        }
    };
    let hear = async {
        let mut answer = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(1024 * 1024).read_to_end(&mut answer).await?;
        }
        Ok(answer)
    };
    let ((), answer) = tokio::join!(send, hear);
    child.wait().await?;
    answer
}

/// What the process does: takes its limits, reads the component from standard input, and answers
/// what to say on standard output.
pub fn here(cache: &Path, allowance: Allowance) -> String {
    let said = match limit(allowance).and_then(|()| compile(cache)) {
        Ok(()) => Said::Compiled,
        Err(PluginError::NotAComponent { reason }) => Said::NotAComponent(reason),
        Err(PluginError::DoesNotFit { reason }) => Said::DoesNotFit(reason),
        Err(PluginError::BadDescriptor { reason }) => Said::BadDescriptor(reason),
        Err(other) => Said::Failed(other.to_string()),
    };
    serde_json::to_string(&said).unwrap_or_default()
}

fn limit(allowance: Allowance) -> Result<(), PluginError> {
    let limits = [
        (Resource::Cpu, allowance.seconds),
        (Resource::As, allowance.memory),
        (Resource::Fsize, allowance.file),
        (Resource::Core, 0),
    ];
    for (resource, most) in limits {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit)
            .map_err(|error| PluginError::Engine { reason: error.to_string() })?;
    }
    Ok(())
}

fn compile(cache: &Path) -> Result<(), PluginError> {
    let mut component = Vec::new();
    std::io::stdin()
        .read_to_end(&mut component)
        .map_err(|error| PluginError::Engine { reason: error.to_string() })?;
    let plugin = Plugin::read(component)?;
    plugin.check_contract()?;
    let engine = Engine::new(cache, &Limits::default())?;
    engine.prepare(plugin.descriptor.kind, &plugin.digest, &plugin.bytes())?;
    // Without it the host would compile what a stranger sent, and nothing would limit that.
    if engine.has_code(&plugin.digest) {
        return Ok(());
    }
    let reason =
        format!("compiled code cannot be written to {}: is the disk full?", cache.display());
    Err(PluginError::Engine { reason })
}

fn too_costly(Allowance { seconds, memory, .. }: Allowance) -> PluginError {
    PluginError::TooCostly { seconds, memory_mib: memory / (1024 * 1024) }
}
