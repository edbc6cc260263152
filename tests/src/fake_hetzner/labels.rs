//! Labels and the language that selects by them.

use std::collections::BTreeMap;

use super::answers::Refusal;

/// Whether these labels are what a selector such as `a==b,!c` asks for.
pub(super) fn selects(selector: &str, labels: &BTreeMap<String, String>) -> Result<bool, Refusal> {
    for term in terms(selector) {
        if !holds(term.trim(), labels)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Refuses what cannot be a label.
pub(super) fn check(labels: &BTreeMap<String, String>) -> Result<(), Refusal> {
    for (key, value) in labels {
        let name = match key.split_once('/') {
            Some(("hetzner.cloud", _)) => return Err(invalid("label key is reserved")),
            Some((prefix, name)) if !prefix.is_empty() && prefix.len() <= 253 => name,
            Some(_) => return Err(invalid("label key has a wrong prefix")),
            None => key,
        };
        if name.is_empty() || !is_word(name) {
            return Err(invalid("label key is wrong"));
        }
        if !is_word(value) {
            return Err(invalid("label value is wrong"));
        }
    }
    Ok(())
}

fn invalid(why: &str) -> Refusal {
    Refusal::invalid("labels", why)
}

/// Empty, or up to 63 characters with letters or digits at the ends.
fn is_word(text: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let end = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && text.chars().all(inside)
        && end(text.chars().next())
        && end(text.chars().last())
}

/// The parts between commas, those in brackets aside.
fn terms(selector: &str) -> Vec<&str> {
    let mut depth = 0;
    selector
        .split(move |c: char| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            c == ',' && depth == 0
        })
        .collect()
}

fn holds(term: &str, labels: &BTreeMap<String, String>) -> Result<bool, Refusal> {
    let has = |key: &str, wanted: &str| {
        labels.get(key.trim()).is_some_and(|value| value == wanted.trim())
    };
    let listed = |key: &str, list: &str| {
        let list = list.trim().trim_start_matches('(').trim_end_matches(')');
        list.split(',').any(|wanted| has(key, wanted))
    };
    if let Some((key, list)) = term.split_once(" notin ") {
        return Ok(!listed(key, list));
    }
    if let Some((key, list)) = term.split_once(" in ") {
        return Ok(listed(key, list));
    }
    if let Some((key, value)) = term.split_once("!=") {
        return Ok(!has(key, value));
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return Ok(has(key, value));
    }
    let (wanted, key) = match term.strip_prefix('!') {
        Some(key) => (false, key),
        None => (true, term),
    };
    if key.is_empty() || key.contains(char::is_whitespace) {
        return Err(Refusal::invalid("label_selector", "cannot be parsed"));
    }
    Ok(labels.contains_key(key) == wanted)
}
