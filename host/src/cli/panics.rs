//! What is said of a panic: where, and the words only when they stand in the program's text. Words
//! that were put together at run time may hold what nobody may see.

use std::any::Any;
use std::panic::{self, Location};

use tracing::error;

/// Says it from now on with the log, in place of the standard library's hook.
pub(super) fn hide_words() {
    panic::set_hook(Box::new(|panic| {
        let (place, words) = (told_place(panic.location()), told_words(panic.payload()));
        error!(place, words, "the host's own code failed");
    }));
}

fn told_place(place: Option<&Location<'_>>) -> String {
    place.map_or_else(|| "an unknown place".to_owned(), ToString::to_string)
}

fn told_words(payload: &dyn Any) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("(not shown: they may hold secrets)")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What would be logged of the panic of this code.
    fn words_of(code: impl FnOnce() + panic::UnwindSafe) -> &'static str {
        told_words(&*panic::catch_unwind(code).unwrap_err())
    }

    #[test]
    fn words_that_were_put_together_are_not_shown() {
        let secret = "s3cret".to_owned();
        let shown = words_of(move || panic!("cannot use {secret}"));
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn words_of_the_programs_text_are_shown() {
        assert_eq!(words_of(|| panic!("lost my head")), "lost my head");
    }
}
