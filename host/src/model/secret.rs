//! Names of secrets that plugins use, and references to them: what a plugin holds instead of a
//! value.

use std::fmt;
use std::str::FromStr;

use crate::model::names::{InvalidName, ServerName};

/// How a reference begins.
pub const OPENING: &str = "${secret:";
/// How it ends.
pub const CLOSING: char = '}';

/// The longest name, in characters.
const LONGEST: usize = 100;

/// A secret's name: words of `[a-z0-9_-]` with slashes between them, such as `postgres/password`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(String);

/// What a reference stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// The value.
    Plain,
    /// Its bcrypt hash.
    Bcrypt,
}

/// A reference: `${secret:web-1/postgres/password}`, or `${secret:web-1/postgres/password.bcrypt}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The server whose secret it is.
    pub server: ServerName,
    /// Its name there.
    pub name: SecretName,
    /// What of it.
    pub form: Form,
}

impl SecretName {
    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        let is_word = |word: &str| !word.is_empty() && word.chars().all(allowed);
        if text.len() <= LONGEST && text.split('/').all(is_word) {
            return Ok(Self(text.to_owned()));
        }
        let shown: String = text.chars().take(LONGEST).collect();
        Err(InvalidName::new(format!(
            "`{}` is no name of a secret: use words of a-z, 0-9, _ and - with slashes between \
             them, such as postgres/password, of at most {LONGEST} characters",
            shown.escape_debug()
        )))
    }
}

impl Form {
    const fn ending(self) -> &'static str {
        match self {
            Self::Plain => "",
            // No name has a dot in it, so no plugin can make a secret of this name.
            Self::Bcrypt => ".bcrypt",
        }
    }
}

impl Reference {
    /// The name under which the value is kept.
    pub fn kept_as(&self) -> String {
        format!("server/{}/secret/{}{}", self.server, self.name.0, self.form.ending())
    }

    /// The same secret in another form.
    #[must_use]
    pub fn with_form(&self, form: Form) -> Self {
        Self { form, ..self.clone() }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, name, form } = self;
        write!(f, "{OPENING}{server}/{}{}{CLOSING}", name.0, form.ending())
    }
}

impl FromStr for Reference {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let inner = text.strip_prefix(OPENING).and_then(|rest| rest.strip_suffix(CLOSING));
        let parts = inner.and_then(|inner| inner.split_once('/')).ok_or_else(|| {
            let shown: String = text.chars().take(LONGEST).collect();
            InvalidName::new(format!(
                "`{}` is no reference of a secret: use what `secrets.ensure` answered",
                shown.escape_debug()
            ))
        })?;
        let (server, name) = parts;
        let (name, form) = match name.strip_suffix(Form::Bcrypt.ending()) {
            Some(name) => (name, Form::Bcrypt),
            None => (name, Form::Plain),
        };
        Ok(Self { server: server.parse()?, name: name.parse()?, form })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_as_it_is_written() {
        for text in
            ["${secret:web-1/postgres/password}", "${secret:a/b.bcrypt}", "${secret:a/b_c-d}"]
        {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_leads_elsewhere_is_no_name() {
        for name in ["", "/", "a/", "/a", "a//b", "a/../b", "A", "a b", "a.bcrypt", "a}", "é"] {
            assert!(name.parse::<SecretName>().is_err(), "{name}");
        }
        assert!("a".repeat(101).parse::<SecretName>().is_err());
        for text in ["${secret:}", "${secret:web-1}", "${secret:web_1/a}", "secret:web-1/a", "${x}"]
        {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }
}
