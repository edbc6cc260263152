//! What many plugins change: how long one takes to be added, and a start with twice as many as came
//! with the program.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::Method;

use crate::host::Host;
use crate::report::{line, ms, spread};

/// Plugins from outside, on top of those that came with the program.
const PLUGINS: usize = 64;

pub(crate) async fn measure(program: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let host = Host::start(program, folder.path()).await?;
    line("a plugin added, from its bytes", &spread(&add(&host, program, folder.path()).await?), "");
    drop(host);
    std::fs::remove_dir_all(folder.path().join("home/cache"))?;
    for what in ["cold", "warm"] {
        let began = Instant::now();
        let host = Host::start(program, folder.path()).await?;
        let started = began.elapsed();
        let listed = host.ask(Method::GET, "/api/plugins", None, 200).await?;
        let count = listed["plugins"].as_array().context("no plugins")?.len();
        let began = Instant::now();
        host.create(&format!("first-{what}")).await?;
        host.until_running(0).await?;
        let beside = format!("and its first job ended after {:.0} ms", ms(began.elapsed()));
        line(
            &format!("start, {what}, {count} plugins"),
            &format!("{:.0} ms", ms(started)),
            &beside,
        );
    }
    Ok(())
}

/// Adds recipes that differ in their names. Answers the sorted times.
async fn add(host: &Host, program: &Path, folder: &Path) -> Result<Vec<Duration>> {
    let made =
        Command::new(program).current_dir(folder).args(["plugin", "new", "shop"]).output()?;
    ensure!(made.status.success(), "no recipe was made");
    let shop = folder.join("shop");
    let recipe = shop.join(packing::RECIPE);
    let text = std::fs::read_to_string(&recipe)?;
    let mut took = Vec::new();
    for number in 0..PLUGINS {
        std::fs::write(&recipe, text.replace("shop", &format!("shop-{number}")))?;
        let component = packing::pack(windlass::plugins::recipe_component(), &shop)?;
        let began = Instant::now();
        host.add_plugin(component).await?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    Ok(took)
}
