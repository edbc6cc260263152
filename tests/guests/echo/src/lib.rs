//! Answers with its own version. What it does before that stands somewhere in its parameters.

use sdk::bindings::Guest;
use sdk::job::{self, Level};
use sdk::{Failure, dns};

/// As in the descriptor; the tests change both.
const VERSION: &str = "7.7.1";

struct Component;

impl Guest for Component {
    fn run(params: String) -> Result<String, Failure> {
        job::step("Tell");
        let last = VERSION.rsplit('.').next().unwrap_or_default();
        if params.contains("waits") {
            job::log(Level::Info, "waiting");
            job::sleep(600_000)?;
        }
        if params.contains("asks") {
            ask_until_refused()?;
        }
        if params.contains(&["fails-", last].concat()) {
            return Err(Failure::new("no_luck", ["version ", VERSION, " fails"].concat()));
        }
        Ok(["{\"version\":\"", VERSION, "\"}"].concat())
    }
}

/// Asks for the same again and again, until that is not granted any more.
fn ask_until_refused() -> Result<(), Failure> {
    job::log(Level::Info, "asking");
    loop {
        match dns::zones() {
            Err(failure) if failure.code == "access_denied" => return Ok(()),
            _ => job::sleep(20)?,
        }
    }
}

sdk::bindings::export!(Component with_types_in sdk::bindings);

const DESCRIPTOR: &[u8] = include_bytes!("../descriptor.json");

#[used]
#[unsafe(link_section = "windlass:descriptor")]
static DESCRIPTOR_SECTION: [u8; DESCRIPTOR.len()] = {
    let mut section = [0; DESCRIPTOR.len()];
    section.copy_from_slice(DESCRIPTOR);
    section
};
