//! Lists a piece at a time: as many as somebody wants and as an answer has room for.

use serde::Serialize;

use crate::error::Error;
use crate::mcp::answer::LONGEST;
use crate::mcp::schema::{Field, Kind, takes};
use crate::mcp::words::words;

/// How many there are unless told otherwise, and at most.
const USUAL: usize = 20;
const MOST: usize = 100;
/// What stands around a list, in bytes.
const FRAME: usize = 300;

/// How many are wanted.
pub(super) const LIMIT: Field =
    takes("limit", Kind::Within(1, 100), words("Padrão 20", "Default 20"));
/// Where to go on.
pub(super) const CURSOR: Field =
    takes("cursor", Kind::Text, words("next_cursor anterior", "next_cursor of before"));

/// Of what is listed by name, what fits, and the name after which the rest comes.
pub(super) struct Page<S> {
    pub(super) shown: Vec<S>,
    pub(super) next: Option<String>,
}

/// How many are wanted, when this was asked.
pub(super) fn limit(asked: Option<usize>) -> Result<usize, Error> {
    let limit = asked.unwrap_or(USUAL);
    if (1..=MOST).contains(&limit) {
        Ok(limit)
    } else {
        Err(Error::invalid_field("/limit", "`limit` is 1 to 100."))
    }
}

/// As many of the first ones as an answer has room for.
pub(super) fn fitting<S: Serialize>(all: impl IntoIterator<Item = S>) -> Vec<S> {
    let mut bytes = FRAME;
    let fits = |one: &S| {
        bytes += serde_json::to_string(one).map_or(0, |text| text.len() + 1);
        bytes <= LONGEST
    };
    all.into_iter().take_while(fits).collect()
}

/// The page of what is in the order of its names that comes after a name.
pub(super) fn after<T, S: Serialize>(
    cursor: Option<&str>,
    limit: usize,
    all: &[T],
    name: for<'t> fn(&'t T) -> &'t str,
    summary: impl Fn(&T) -> S,
) -> Page<S> {
    let left: Vec<&T> =
        all.iter().filter(|it| cursor.is_none_or(|cursor| name(it) > cursor)).collect();
    let shown = fitting(left.iter().take(limit).map(|it| summary(it)));
    let last = shown.len().checked_sub(1).and_then(|last| left.get(last));
    let next = last.filter(|_| shown.len() < left.len()).map(|it| name(it).to_owned());
    Page { shown, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another_to_the_end() {
        let names: Vec<String> = (10..60).map(|n| format!("app-{n}")).collect();
        let long = "x".repeat(1_000);
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = after(
                cursor.as_deref(),
                100,
                &names,
                |name| name.as_str(),
                |it| (it.clone(), &long),
            );
            assert!(serde_json::to_string(&page.shown).unwrap().len() <= LONGEST);
            seen.extend(page.shown.into_iter().map(|(name, _)| name));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, names);
    }
}
