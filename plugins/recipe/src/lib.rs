//! Every recipe that is data alone: the data decides what this does.

use sdk::Failure;
use sdk::recipe::{Deployed, Params, Recipe, Removed};

#[expect(clippy::needless_pass_by_value, reason = "`sdk::app!` hands them over")]
fn deploy(params: Params) -> Result<Deployed, Failure> {
    Recipe::read()?.deploy(&params)
}

fn undeploy(params: Params) -> Result<Removed, Failure> {
    Recipe::read()?.remove(params)
}

sdk::app!(deploy, undeploy);
