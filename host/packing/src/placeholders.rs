//! Placeholders in strings: `{{ config.domain }}`.

/// The names of the placeholders of a text, in order.
///
/// # Errors
/// A sentence, when one is not closed or empty.
pub(crate) fn of(text: &str) -> Result<Vec<&str>, String> {
    let (mut names, mut rest) = (Vec::new(), text);
    while let Some((_, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else {
            return Err(format!("`{}` has a `{{{{` without its `}}}}`", shown(text)));
        };
        let name = name.trim();
        if name.is_empty() || name.contains("{{") {
            return Err(format!("`{}` has a placeholder without a name", shown(text)));
        }
        names.push(name);
        rest = after;
    }
    Ok(names)
}

/// Whether one placeholder is all of a text.
pub(crate) fn is_whole(text: &str) -> bool {
    let inner = text.trim().strip_prefix("{{").and_then(|text| text.strip_suffix("}}"));
    inner.is_some_and(|inner| !inner.contains("{{"))
}

/// The variable that a secret becomes in the Compose file, as the SDK makes it.
pub(crate) fn variable(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(letter).collect()
}

pub(crate) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(80).collect();
    cut.escape_debug().to_string()
}

/// The known name that looks most like this one.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let common = |other: &str| name.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    known.map(|it| (common(it), it)).filter(|(n, _)| *n > 2).max_by_key(|(n, _)| *n).map(|it| it.1)
}
