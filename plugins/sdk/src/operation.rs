//! From JSON text to a plugin's own types and back, and the macro that makes a component.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Failure;

/// Reads the parameters.
///
/// # Errors
/// When they are not of the plugin's type, which its schema should have said.
pub fn params<P: DeserializeOwned>(text: &str) -> Result<P, Failure> {
    serde_json::from_str(text)
        .map_err(|e| Failure::new("invalid_argument", format!("the parameters: {e}")))
}

/// Writes the result.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn answer<R: Serialize>(result: &R) -> Result<String, Failure> {
    Ok(serde_json::to_string(result)?)
}

/// Makes an operation of a function `fn(Params) -> Result<Answer, Failure>`. The descriptor is the
/// file `descriptor.json` beside the crate's `Cargo.toml`.
#[macro_export]
macro_rules! operation {
    ($run:path) => {
        struct Component;

        impl $crate::bindings::Guest for Component {
            fn run(text: String) -> Result<String, $crate::Failure> {
                $crate::answer(&$run($crate::params(&text)?)?)
            }
        }

        $crate::bindings::export!(Component with_types_in $crate::bindings);

        const DESCRIPTOR: &[u8] =
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/descriptor.json"));

        #[used]
        #[unsafe(link_section = "windlass:descriptor")]
        static DESCRIPTOR_SECTION: [u8; DESCRIPTOR.len()] = {
            let mut section = [0; DESCRIPTOR.len()];
            section.copy_from_slice(DESCRIPTOR);
            section
        };
    };
}
