//! The bytes of a component. Those that the build packed share what is the same in all of them, so
//! that a catalogue of many apps has it in memory and in the program once.

use std::borrow::Cow;

/// A component, whole or in pieces that follow each other.
#[derive(Clone, Debug)]
pub enum Content {
    /// In one piece.
    Whole(Cow<'static, [u8]>),
    /// What the recipe says, the component that is the same for all recipes, and what the plugin
    /// says of itself.
    Packed([&'static [u8]; 3]),
}

impl Content {
    /// The component in one piece.
    pub fn whole(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Whole(bytes) => Cow::Borrowed(bytes),
            Self::Packed(pieces) => Cow::Owned(pieces.concat()),
        }
    }

    /// How many bytes it has.
    pub fn size(&self) -> usize {
        match self {
            Self::Whole(bytes) => bytes.len(),
            Self::Packed(pieces) => pieces.iter().map(|piece| piece.len()).sum(),
        }
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Whole(Cow::Owned(bytes))
    }
}

impl From<&'static [u8]> for Content {
    fn from(bytes: &'static [u8]) -> Self {
        Self::Whole(Cow::Borrowed(bytes))
    }
}
