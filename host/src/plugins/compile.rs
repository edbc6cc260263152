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

use crate::plugins::engine::Engine;
use crate::plugins::plugin::{Plugin, PluginError};

/// The subcommand of our own program that does it.
pub const SUBCOMMAND: &str = "__compile";

/// Seconds of a processor.
const CPU_SECONDS: u64 = 60;
/// Bytes of memory.
const MEMORY: u64 = 2 * 1024 * 1024 * 1024;
/// Bytes of a file.
const LONGEST_FILE: u64 = 128 * 1024 * 1024;
/// How long it may take by the clock.
const PATIENCE: Duration = Duration::from_secs(120);

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

/// Compiles a component in a process of its own, into the cache of this engine.
///
/// # Errors
/// When it does not compile or does not fit, or takes more than it may.
pub async fn apart(program: &Path, cache: &Path, component: &[u8]) -> Result<(), PluginError> {
    let trouble = |error: std::io::Error| PluginError::Engine {
        reason: format!("the process that compiles plugins: {error}"),
    };
    let mut child = Command::new(program)
        .arg(SUBCOMMAND)
        .arg(cache)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(trouble)?;
    let talked = tokio::time::timeout(PATIENCE, talk(&mut child, component)).await;
    let Ok(answer) = talked else { return Err(too_costly()) };
    match serde_json::from_slice(&answer.map_err(trouble)?) {
        Ok(Said::Compiled) => Ok(()),
        Ok(Said::NotAComponent(reason)) => Err(PluginError::NotAComponent { reason }),
        Ok(Said::DoesNotFit(reason)) => Err(PluginError::DoesNotFit { reason }),
        Ok(Said::BadDescriptor(reason)) => Err(PluginError::BadDescriptor { reason }),
        Ok(Said::Failed(reason)) => Err(PluginError::Engine { reason }),
        // It came to no end of its own.
        Err(_) => Err(too_costly()),
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
pub fn here(cache: &Path) -> String {
    let said = match limit().and_then(|()| compile(cache)) {
        Ok(()) => Said::Compiled,
        Err(PluginError::NotAComponent { reason }) => Said::NotAComponent(reason),
        Err(PluginError::DoesNotFit { reason }) => Said::DoesNotFit(reason),
        Err(PluginError::BadDescriptor { reason }) => Said::BadDescriptor(reason),
        Err(other) => Said::Failed(other.to_string()),
    };
    serde_json::to_string(&said).unwrap_or_default()
}

fn limit() -> Result<(), PluginError> {
    let limits = [
        (Resource::Cpu, CPU_SECONDS),
        (Resource::As, MEMORY),
        (Resource::Fsize, LONGEST_FILE),
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
    let engine = Engine::new(cache)?;
    engine.prepare(plugin.descriptor.kind, &plugin.digest, &plugin.bytes())?;
    // Without it the host would compile what a stranger sent, and nothing would limit that.
    if engine.has_code(&plugin.digest) {
        return Ok(());
    }
    let reason =
        format!("compiled code cannot be written to {}: is the disk full?", cache.display());
    Err(PluginError::Engine { reason })
}

/// Where our own program is, even when the file has been replaced since.
pub fn own_program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

fn too_costly() -> PluginError {
    PluginError::TooCostly { seconds: CPU_SECONDS, memory_mib: MEMORY / (1024 * 1024) }
}
