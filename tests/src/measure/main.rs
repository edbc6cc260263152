//! Measures what the README's table says: `cargo run --release -p tests --bin measure`, or a part of
//! it, named after `--`: `door`, `agents`, `jobs`, `plugins`, `stored`, `load`. Each figure stands
//! beside the limit that was measured in the same run; figures of different runs, or machines, cannot
//! be compared. `flame` records what a flame graph is made of instead.

mod agents;
mod bare;
mod door;
mod ends;
mod flame;
mod floors;
mod host;
mod jobs;
mod load;
mod plugins;
mod report;
mod stored;

use anyhow::Result;
use tests::host_process::build_program;

use crate::floors::Floors;

#[tokio::main]
async fn main() -> Result<()> {
    let program = build_program()?;
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted == ["flame"] {
        return flame::record(&program).await;
    }
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|it| it == part);
    let floors = Floors::measure().await?;
    floors.print();
    if is_wanted("door") {
        door::measure(&program, &floors).await?;
    }
    if is_wanted("agents") {
        agents::measure(&program, &floors).await?;
    }
    if is_wanted("jobs") {
        jobs::measure(&floors).await?;
    }
    if is_wanted("plugins") {
        plugins::measure(&program).await?;
    }
    if is_wanted("stored") {
        stored::measure(&program).await?;
    }
    if is_wanted("load") {
        load::measure(&program).await?;
    }
    Ok(())
}
