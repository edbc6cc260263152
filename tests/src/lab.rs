//! Real machines for the tests: containers of an engine of our own, with a real cloud-init and a
//! real sshd. Whatever becomes of the tests, a guardian process takes everything down again.

mod guardian;
mod images;
mod machine;
mod parts;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use bollard::query_parameters::CreateImageOptionsBuilder;
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::TryStreamExt;

pub use machine::Machine;

use crate::fake_cloud::Machines;
use guardian::Guardian;

/// The image of the machines.
const IMAGE: &str = "windlass-machine:debian-12";
/// Where the engine listens.
const SOCKET: &str = "/run/windlass-lab/engine.sock";

/// Prints plainly that a test does not run, or fails it where all parts have to be there.
pub fn skip(test: &str, why: &str) {
    assert!(
        std::env::var_os("WINDLASS_REQUIRE_REAL_PARTS").is_none(),
        "{test} cannot run: {why}, and WINDLASS_REQUIRE_REAL_PARTS is set"
    );
    println!("SKIPPED: {test}: {why}");
}

/// Where what is costly to make is kept between runs, whatever makes it.
pub fn cache() -> std::path::PathBuf {
    parts::cache().with_file_name("")
}

/// An engine with machines.
pub struct Lab {
    subnet: String,
    _guardian: Guardian,
}

impl Lab {
    /// The lab that all tests of this process share. None, and a line that says so, where a part
    /// of it is missing.
    pub fn shared(test: &str) -> Option<&'static Self> {
        static LAB: OnceLock<Result<Lab, String>> = OnceLock::new();
        let lab = LAB.get_or_init(|| {
            if let Some(missing) = parts::missing() {
                return Err(missing);
            }
            // A runtime may not wait inside another one, and this may be called from one.
            let started = std::thread::spawn(|| {
                let runtime = tokio::runtime::Runtime::new()?;
                runtime.block_on(Self::start())
            });
            let started = started.join().map_err(|_panic| "the lab's start panicked".to_owned())?;
            started.map_err(|error| format!("{error:#}"))
        });
        lab.as_ref().map_err(|why| skip(test, why)).ok()
    }

    /// Starts the engine and sees that it has the image.
    pub async fn start() -> Result<Self> {
        let cache = parts::cache();
        let guardian = Guardian::start(&cache)?;
        let lab = Self { subnet: guardian.subnet().to_owned(), _guardian: guardian };
        let recipe = recipe();
        let engine = lab.engine().await?;
        let kept = engine.inspect_image(IMAGE).await.ok().and_then(|image| image.comment);
        if kept.as_deref() != Some(recipe.as_str()) {
            lab.import(&tarball(&recipe)?, &recipe).await?;
        }
        Ok(lab)
    }

    /// Where its engine listens.
    pub fn socket(&self) -> &'static str {
        SOCKET
    }

    /// Its network, as `10.213.77`.
    pub fn subnet(&self) -> &str {
        &self.subnet
    }

    /// A client of its engine, for the runtime of the caller.
    pub async fn engine(&self) -> Result<Docker> {
        let engine = Docker::connect_with_unix(SOCKET, 120, API_DEFAULT_VERSION)?;
        Ok(engine.negotiate_version().await?)
    }

    /// A machine that boots with this user data. It lasts until [`Lab::destroy`], or as long as
    /// the tests do.
    pub async fn boot(&self, name: &str, user_data: &str) -> Result<Machine> {
        Machine::boot(self.engine().await?, name, user_data).await
    }

    /// A machine that somebody else booted on its engine.
    pub async fn find(&self, name: &str) -> Result<Machine> {
        Machine::find(self.engine().await?, name).await
    }

    /// Ends the machine of this name, if there is one.
    pub async fn destroy(&self, name: &str) -> Result<()> {
        machine::remove(&self.engine().await?, name).await
    }

    async fn import(&self, tarball: &PathBuf, recipe: &str) -> Result<()> {
        let (name, tag) = IMAGE.split_once(':').context("an image has a tag")?;
        let options = CreateImageOptionsBuilder::new()
            .from_src("-")
            .repo(name)
            .tag(tag)
            .message(recipe)
            .changes(vec!["CMD [\"/usr/local/sbin/windlass-boot\"]".to_owned()])
            .build();
        let file = tokio::fs::read(tarball).await?;
        let body = bollard::body_full(file.into());
        let engine = self.engine().await?;
        engine.create_image(Some(options), Some(body), None).try_collect::<Vec<_>>().await?;
        Ok(())
    }
}

#[async_trait]
impl Machines for &'static Lab {
    async fn boot(&self, name: &str, user_data: &str) -> Result<Ipv4Addr> {
        Lab::boot(self, name, user_data).await.map(|machine| machine.ip)
    }

    async fn destroy(&self, name: &str) -> Result<()> {
        Lab::destroy(self, name).await
    }
}

/// What the image was made by.
fn recipe() -> String {
    let texts = [include_str!("lab/build_machine.sh"), include_str!("lab/boot.sh")].concat();
    let hash = texts.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// The image's tarball; made with debootstrap where it is not kept from an earlier run.
fn tarball(recipe: &str) -> Result<PathBuf> {
    let cache = parts::cache();
    let tarball = cache.join(format!("debian-12-{recipe}.tar"));
    if tarball.exists() {
        return Ok(tarball);
    }
    let mirror = parts::mirror().context("this machine's apt has no Debian mirror")?;
    let folder = tempfile::tempdir()?;
    let (build, boot) = (folder.path().join("build.sh"), folder.path().join("boot.sh"));
    std::fs::write(&build, include_str!("lab/build_machine.sh"))?;
    std::fs::write(&boot, include_str!("lab/boot.sh"))?;
    let made = Command::new("sh").arg(&build).arg(&tarball).arg(mirror).arg(&boot).output()?;
    let words = [made.stdout, made.stderr].concat();
    let words = String::from_utf8_lossy(&words);
    let last: Vec<&str> = words.lines().rev().take(5).collect();
    ensure!(made.status.success(), "the machine image could not be made: {}", last.join(" | "));
    Ok(tarball)
}
