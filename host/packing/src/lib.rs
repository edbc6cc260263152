//! Makes a plugin of a recipe's data, without a compiler: everything about the data is checked here,
//! then it is plugged into a component that was built once. The same input makes the same bytes.

pub mod component;
mod compose;
mod descriptor;
mod folder;
mod placeholders;
pub mod recipe;
#[cfg(test)]
mod tests;
mod usage;

pub use folder::{COMPOSE, DESCRIPTOR, RECIPE};

use std::path::{Path, PathBuf};

/// Plugs a recipe's data into a component that imports it, such as the generic one.
///
/// # Errors
/// The first thing that is wrong with the recipe or the component.
pub fn pack(component: &[u8], folder: &Path) -> Result<Vec<u8>, PackError> {
    let packed = folder::read(folder)?;
    let component = component::plug(component, &packed.data)?;
    component::describe(&component, packed.descriptor.as_bytes())
}

/// What [`pack`] would put in, as JSON: the recipe's data and the plugin's descriptor.
///
/// # Errors
/// The first thing that is wrong with the recipe.
pub fn check(folder: &Path) -> Result<Packed, PackError> {
    folder::read(folder)
}

/// Adds a descriptor to a component that has none.
///
/// # Errors
/// When the descriptor is no JSON object, or the component has one.
pub fn add_descriptor(component: &[u8], descriptor: &str) -> Result<Vec<u8>, PackError> {
    let parsed: serde_json::Value = serde_json::from_str(descriptor)
        .map_err(|error| PackError::recipe(DESCRIPTOR, "", &error.to_string()))?;
    if !parsed.is_object() {
        return Err(PackError::recipe(DESCRIPTOR, "", "it is no JSON object"));
    }
    component::describe(component, parsed.to_string().as_bytes())
}

/// A recipe, ready to be put into a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// What the component reads.
    pub data: String,
    /// What the plugin says of itself.
    pub descriptor: String,
}

/// Why something cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Something in a file of the recipe is wrong.
    #[error("{file}{}{field}: {reason}", if field.is_empty() { "" } else { ": " })]
    Recipe {
        /// Which file.
        file: String,
        /// Where in it; empty for all of it.
        field: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The component is not one that this can be put into.
    #[error("the component cannot be packed: {reason}")]
    Component {
        /// Why.
        reason: String,
    },
}

impl PackError {
    fn recipe(file: &str, field: &str, reason: &str) -> Self {
        Self::Recipe { file: file.to_owned(), field: field.to_owned(), reason: reason.to_owned() }
    }

    fn component(reason: impl Into<String>) -> Self {
        Self::Component { reason: reason.into() }
    }
}
