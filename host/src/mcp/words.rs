//! What agents read, in both languages, and what a host calls its tools.

use std::borrow::Cow;

use crate::config::{AgentSettings, Language};
use crate::mcp::tools::{self, Definition};

/// The same in both languages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    portuguese: &'static str,
    english: &'static str,
}

/// How a host speaks to its agents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voice {
    /// The language of its texts.
    language: Language,
    /// The language of its tools' names.
    names: Language,
}

/// The same in both languages, Portuguese first.
pub(super) const fn words(portuguese: &'static str, english: &'static str) -> Words {
    Words { portuguese, english }
}

impl Words {
    /// In this language.
    pub(super) const fn within(&self, language: Language) -> &'static str {
        match language {
            Language::Portuguese => self.portuguese,
            Language::English => self.english,
        }
    }
}

impl Voice {
    /// As a host with these settings speaks.
    pub(super) const fn of(settings: &AgentSettings) -> Self {
        Self { language: settings.language, names: settings.tool_names }
    }

    /// The language of its texts.
    pub(super) const fn language(self) -> Language {
        self.language
    }

    /// Of the same in both languages, Portuguese first, what is in this one.
    pub(super) fn pick<T>(self, portuguese: T, english: T) -> T {
        match self.language {
            Language::Portuguese => portuguese,
            Language::English => english,
        }
    }

    /// A tool's name.
    pub(super) const fn name(self, tool: &Definition) -> &'static str {
        tool.name.within(self.names)
    }

    /// Words of ours, with the tools in them by the names that they have here. Nothing from outside
    /// comes in here, where a server or a log line could be called like a tool.
    pub(super) fn say(self, words: Words) -> Cow<'static, str> {
        let text = words.within(self.language);
        if self.names == Language::Portuguese {
            return Cow::Borrowed(text);
        }
        let is_outside = |c: char| c != '-' && !c.is_ascii_lowercase();
        let mut said = String::with_capacity(text.len());
        for piece in text.split_inclusive(is_outside) {
            let word = piece.trim_end_matches(is_outside);
            let name = tools::all().find(|tool| tool.id() == word).map(|tool| self.name(tool));
            said.push_str(name.unwrap_or(word));
            said.push_str(piece.strip_prefix(word).unwrap_or_default());
        }
        Cow::Owned(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_in_a_text_have_the_names_that_they_have_here() {
        let text = words(
            "Chame `criar-servidor` (ou instalar-app, desinstalar-app), é já; criar-servidores.",
            "Call `criar-servidor`.",
        );
        let say = |language, names| Voice { language, names }.say(text);
        assert_eq!(
            say(Language::Portuguese, Language::English),
            "Chame `create-server` (ou install-app, remove-app), é já; criar-servidores."
        );
        assert_eq!(say(Language::English, Language::English), "Call `create-server`.");
        assert_eq!(say(Language::English, Language::Portuguese), "Call `criar-servidor`.");
    }

    #[test]
    fn every_tool_has_two_names_of_its_own() {
        let both = |tool: &'static Definition| {
            [Language::Portuguese, Language::English].map(|language| tool.name.within(language))
        };
        let mut names: Vec<&str> = tools::all().flat_map(both).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), count), (40, 40));
        let is_plain = |name: &&str| name.bytes().all(|b| b == b'-' || b.is_ascii_lowercase());
        assert!(names.iter().all(is_plain) && names.iter().all(|name| name.contains('-')));
    }
}
