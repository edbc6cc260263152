//! Agents' clients that nobody here wrote, and the suite that judges servers: installed from their
//! registries into a folder that outlives the tests, in the versions that `tests/agents` names.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{FlockOperation, flock};

/// What is installed, and the stories that it tells.
const FILES: [&str; 12] = [
    "package.json",
    "package-lock.json",
    "requirements-legacy.txt",
    "requirements-modern.txt",
    "legacy.py",
    "modern.py",
    "legacy.mjs",
    "modern.mjs",
    "waiter.py",
    "waiter.mjs",
    "patient.py",
    "patient.mjs",
];

/// The kit, installed.
pub struct AgentKit {
    folder: PathBuf,
}

impl AgentKit {
    /// The kit that all tests share. None, and a line that says so, where it cannot be installed.
    pub fn shared(test: &str) -> Option<&'static Self> {
        static KIT: OnceLock<Result<AgentKit, String>> = OnceLock::new();
        let kit = KIT.get_or_init(|| Self::install().map_err(|error| format!("{error:#}")));
        kit.as_ref().map_err(|why| crate::lab::skip(test, why)).ok()
    }

    /// A program of Node's.
    pub fn node(&self, script: &str) -> Command {
        let bin = self.folder.join("node_modules/node/bin");
        let mut command = Command::new(bin.join("node"));
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("MCP_INSPECTOR_SECRET_STORE", "memory")
            .arg(self.folder.join(script))
            .current_dir(&self.folder);
        command
    }

    /// The suite that judges servers.
    pub fn conformance(&self) -> Command {
        self.node("node_modules/@modelcontextprotocol/conformance/dist/index.js")
    }

    /// The client that looks closely.
    pub fn inspector(&self) -> Command {
        let mut command = self.node("node_modules/.bin/mcp-inspector");
        command.arg("--cli");
        command
    }

    /// A script of Python's, with its SDK of that kind: `legacy` or `modern`.
    pub fn python(&self, kind: &str) -> Command {
        let mut command = Command::new(self.folder.join(kind).join("bin/python"));
        command.arg(self.folder.join(format!("{kind}.py"))).current_dir(&self.folder);
        command
    }

    /// Somebody who wants one server and waits for it, by Python's SDK of today.
    pub fn waiter(&self) -> Command {
        let mut command = Command::new(self.folder.join("modern/bin/python"));
        command.arg(self.folder.join("waiter.py")).current_dir(&self.folder);
        command
    }

    /// Somebody who waits for what takes minutes, by Python's SDK of the older kind.
    pub fn patient(&self) -> Command {
        let mut command = Command::new(self.folder.join("legacy/bin/python"));
        command.arg(self.folder.join("patient.py")).current_dir(&self.folder);
        command
    }

    fn install() -> Result<Self> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("agents");
        let cache = crate::lab::cache().join("agents");
        fs::create_dir_all(&cache)?;
        let lock = File::create(cache.join("lock"))?;
        // Other test processes may install the same.
        flock(&lock, FlockOperation::LockExclusive)?;
        let folder = cache.join(recipe(&sources)?);
        let done = folder.join("done");
        if !done.exists() {
            fs::create_dir_all(&folder)?;
            for kind in ["legacy", "modern"] {
                run(Command::new("python3").args(["-m", "venv", kind]).current_dir(&folder))?;
                let list = sources.join(format!("requirements-{kind}.txt"));
                let mut pip = Command::new(folder.join(kind).join("bin/pip"));
                run(pip.args(["install", "--quiet", "--requirement"]).arg(list))?;
            }
            for file in ["package.json", "package-lock.json"] {
                fs::copy(sources.join(file), folder.join(file))?;
            }
            let mut npm = Command::new("npm");
            run(npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))?;
            File::create(done)?;
        }
        for file in FILES {
            fs::copy(sources.join(file), folder.join(file))?;
        }
        Ok(Self { folder })
    }
}

/// What the installed things are known by: the lists that they were installed from.
fn recipe(sources: &Path) -> Result<String> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    for file in FILES.iter().filter(|file| !file.ends_with(".py") && !file.ends_with(".mjs")) {
        fs::read(sources.join(file)).context(*file)?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn run(command: &mut Command) -> Result<()> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => bail!("{shown} cannot be run: {error}"),
    };
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{shown} could not install: {}", words.trim());
    Ok(())
}
