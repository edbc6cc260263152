//! What is said of a panic: where, and the words only when they stand in the program's text. Words
//! that were put together at run time may hold what nobody may see.

use std::any::Any;
use std::io::Write;
use std::panic::{self, Location};

use tracing::error;

/// Says it from now on with the log, in place of the standard library's hook.
pub(super) fn hide_words() {
    panic::set_hook(Box::new(|panic| {
        let (place, words) = (told_place(panic.location()), told_words(panic.payload()));
        error!(place, words, "the host's own code failed");
        // Before there is a log, and in commands that have none, nobody would hear of it.
        if !tracing::dispatcher::has_been_set() {
            let told = writeln!(std::io::stderr(), "{}", sentence(&place, words));
            told.unwrap_or_default();
        }
    }));
}

/// What is said where there is no log.
fn sentence(place: &str, words: &str) -> String {
    format!(
        "error: This program itself failed at {place}: {words}. Nothing more was done; please \
         report it with this line."
    )
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
    fn where_there_is_no_log_one_sentence_says_where_it_failed() {
        let said = sentence("cli.rs:1:2", "lost my head");
        assert!(said.starts_with("error: ") && said.ends_with('.'), "{said}");
        assert!(said.contains("cli.rs:1:2") && said.contains("lost my head"), "{said}");
        assert_eq!(said.lines().count(), 1);
    }

    #[test]
    fn words_of_the_programs_text_are_shown() {
        assert_eq!(words_of(|| panic!("lost my head")), "lost my head");
    }
}
