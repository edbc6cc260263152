//! Deletes a server and what belongs to it at the provider, by id.

use sdk::job::{self, Level};
use sdk::{Failure, inventory, servers};
use serde::{Deserialize, Serialize};

const STEPS: [&str; 3] = ["Delete server", "Delete SSH key", "Forget server"];

#[derive(Deserialize)]
struct Params {
    name: String,
}

#[derive(Serialize)]
struct Deleted {
    name: String,
    deleted: bool,
}

fn run(Params { name }: Params) -> Result<Deleted, Failure> {
    let steps: Vec<String> = STEPS.iter().map(|&step| step.to_owned()).collect();
    job::plan(&steps);

    begin(STEPS[0], 10);
    servers::delete(&name)?;
    job::log(Level::Info, "the provider does not have it any more");

    begin(STEPS[1], 70);
    servers::delete_ssh_key(&name)?;

    begin(STEPS[2], 90);
    inventory::remove_server(&name)?;
    job::progress(100);
    Ok(Deleted { name, deleted: true })
}

fn begin(step: &str, percent: u8) {
    job::progress(percent);
    job::step(step);
}

sdk::operation!(run);
