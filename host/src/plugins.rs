//! Loading and running operations: components are read, checked, compiled once, and run in a store
//! of their own for each job. Which version is active is the registrar's business.

pub mod cache;
pub mod canary;
pub mod caretaker;
pub mod catalog;
pub mod compile;
pub mod content;
pub mod depot;
pub mod descriptor;
pub mod engine;
pub mod fit;
pub mod instance;
pub mod plugin;
pub mod quota;
pub mod registrar;
pub mod schema;
mod signature;
pub mod watcher;

/// The component that recipes without code of their own are packed into.
pub const fn recipe_component() -> &'static [u8] {
    embedded::recipe()
}

/// The components that the build embedded.
mod embedded {
    use super::content::Content;

    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

    /// Those with code of their own, then the recipes; each in the order of their names.
    pub(super) fn components() -> impl Iterator<Item = Content> {
        let packed = PACKED.iter().map(|(head, tail)| Content::Packed([head, RECIPE, tail]));
        EMBEDDED.iter().map(|bytes| Content::from(*bytes)).chain(packed)
    }

    /// The component that recipes are packed into.
    pub(super) const fn recipe() -> &'static [u8] {
        RECIPE
    }
}
