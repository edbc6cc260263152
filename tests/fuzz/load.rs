//! What a stranger sends as a plugin: as a whole component, and as what one says of itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tests::fuzz::{components, describe, descriptors, lay, load};

fuzz_target!(init: lay(components().into_iter().chain(descriptors())), |bytes: &[u8]| {
    load(bytes);
    describe(bytes);
});
