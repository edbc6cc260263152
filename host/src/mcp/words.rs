//! What agents read, in both languages.

use crate::config::Language;

/// The same in both languages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    portuguese: &'static str,
    english: &'static str,
}

/// The same in both languages, Portuguese first.
pub(super) const fn words(portuguese: &'static str, english: &'static str) -> Words {
    Words { portuguese, english }
}

/// Of the same in both languages, Portuguese first, what is in this one.
pub(super) fn pick<T>(language: Language, portuguese: T, english: T) -> T {
    match language {
        Language::Portuguese => portuguese,
        Language::English => english,
    }
}

impl Words {
    /// In this language.
    pub(super) fn within(&self, language: Language) -> &'static str {
        pick(language, self.portuguese, self.english)
    }
}
