//! Values that must not be shown, found again in what comes from outside: as they are, in base64,
//! in a URL, in JSON, in a compose file. What is shorter than six bytes is found everywhere and
//! therefore not looked for.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::model::failure::Failure;

/// What stands in the place of a value.
pub const MASK: &str = "•••";

/// A value with fewer bytes is not masked.
pub const SHORTEST: usize = 6;

/// A line of a value of several lines counts from this length on.
const SHORTEST_LINE: usize = 16;

/// The part of a value's base64 that does not depend on its neighbours counts from this length on.
const SHORTEST_BASE64: usize = 8;

/// A text up to this length is searched for one form after the other, so many times: making a finder
/// of all of them takes as long as some hundred such searches.
const SHORT: usize = 512;
const SEARCHES: u32 = 64;

/// The beginning of a value that was cut off counts from this length on.
const SHORTEST_BEGINNING: usize = 3;

/// Values that are masked. Has no `Debug`.
#[derive(Default)]
pub struct Masks(Mutex<Known>);

#[derive(Default)]
struct Known {
    forms: BTreeSet<Vec<u8>>,
    finder: Option<Arc<AhoCorasick>>,
    /// How many texts were searched without it.
    searched: u32,
}

impl Masks {
    /// Masks this value from now on.
    pub fn add(&self, value: &SecretString) {
        let value = value.expose_secret();
        let mut known = self.lock();
        let before = known.forms.len();
        let lines: Vec<&str> = value.lines().collect();
        if lines.len() > 1 {
            let is_secret = |line: &&&str| line.len() >= SHORTEST_LINE && !line.starts_with("----");
            lines.iter().filter(is_secret).for_each(|line| known.forms.extend(forms(line)));
        }
        known.forms.extend(forms(value.trim_end()));
        if known.forms.len() > before {
            known.finder = None;
        }
    }

    /// The text without the values.
    pub fn text(&self, text: &str) -> String {
        let masked = self.bytes(text.as_bytes());
        String::from_utf8(masked)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// The same of a text whose end was cut off, perhaps within a value.
    pub fn cut_text(&self, text: &str) -> String {
        let mut pieces = Pieces::default();
        pieces.next(self, text, true)
    }

    /// The bytes without the values.
    pub fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        replaced(bytes, &self.found_in(bytes))
    }

    /// Masks every text of a JSON value, and every name in it.
    pub fn value(&self, value: &mut Value) {
        if self.lock().forms.is_empty() {
            return;
        }
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => {
                let masked = std::mem::take(fields).into_iter().map(|(name, mut field)| {
                    self.value(&mut field);
                    (self.text(&name), field)
                });
                *fields = masked.collect();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Masks a failure's words.
    pub fn failure(&self, failure: &mut Failure) {
        failure.code = self.text(&failure.code);
        failure.message = self.text(&failure.message);
    }

    /// Where values stand, in order, none touching another.
    fn found_in(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = match self.finder_for(bytes) {
            Finder::None => return Vec::new(),
            Finder::Each(known) => {
                let fits = |form: &&Vec<u8>| form.len() <= bytes.len();
                known.forms.iter().filter(fits).flat_map(|form| all(form, bytes)).collect()
            }
            Finder::All(all) => all.find_overlapping_iter(bytes).map(|it| it.range()).collect(),
        };
        found.sort_unstable_by_key(|range| range.start);
        let mut joined: Vec<Range<usize>> = Vec::new();
        for range in found {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        joined
    }

    /// How many bytes at the end may be the beginning of a value.
    fn begun_at_the_end_of(&self, bytes: &[u8]) -> usize {
        let known = self.lock();
        let begun = known.forms.iter().filter_map(|form| {
            let most = form.len().saturating_sub(1).min(bytes.len());
            (SHORTEST_BEGINNING..=most)
                .rev()
                .find(|&length| form.get(..length).is_some_and(|begun| bytes.ends_with(begun)))
        });
        begun.max().unwrap_or_default()
    }

    /// The most bytes of a form of a value.
    fn longest(&self) -> usize {
        self.lock().forms.iter().map(Vec::len).max().unwrap_or_default()
    }

    fn finder_for(&self, bytes: &[u8]) -> Finder<'_> {
        let mut known = self.lock();
        if known.forms.is_empty() || bytes.len() < SHORTEST {
            return Finder::None;
        }
        if let Some(finder) = &known.finder {
            return Finder::All(Arc::clone(finder));
        }
        if bytes.len() <= SHORT && known.searched < SEARCHES {
            known.searched += 1;
            return Finder::Each(known);
        }
        // Each job has its own, for few texts: what is made fast is better than what finds fast.
        let kind = Some(AhoCorasickKind::NoncontiguousNFA);
        // It refuses only more patterns than there is memory for.
        match AhoCorasick::builder().kind(kind).build(&known.forms) {
            Ok(finder) => {
                let finder = Arc::new(finder);
                known.finder = Some(Arc::clone(&finder));
                Finder::All(finder)
            }
            Err(_too_many) => Finder::Each(known),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What finds the forms of values in a text.
enum Finder<'m> {
    /// None can be in it.
    None,
    /// One search for each.
    Each(MutexGuard<'m, Known>),
    /// One search for all.
    All(Arc<AhoCorasick>),
}

/// Where `form` stands in a text, also where it overlaps itself.
fn all(form: &[u8], bytes: &[u8]) -> Vec<Range<usize>> {
    let finder = memmem::Finder::new(form);
    let (mut found, mut from) = (Vec::new(), 0);
    while let Some(at) = finder.find(bytes.get(from..).unwrap_or_default()) {
        found.push(from + at..from + at + form.len());
        from += at + 1;
    }
    found
}

/// A text that comes in pieces which may part a value.
#[derive(Default)]
pub struct Pieces {
    /// The end of what came before, as it was.
    tail: Vec<u8>,
}

impl Pieces {
    /// The next piece without the values. When the text goes on right after it, its end is masked
    /// also where it is only the beginning of a value.
    pub fn next(&mut self, masks: &Masks, piece: &str, goes_on: bool) -> String {
        let before = self.tail.len();
        let whole = [&std::mem::take(&mut self.tail)[..], piece.as_bytes()].concat();
        let mut found = masks.found_in(&whole);
        if goes_on {
            let begun = masks.begun_at_the_end_of(&whole);
            if begun > 0 {
                found.push(whole.len() - begun..whole.len());
            }
            let kept = whole.len().min(masks.longest());
            self.tail = whole.get(whole.len() - kept..).unwrap_or_default().to_vec();
        }
        let own = |range: &Range<usize>| range.end > before;
        let shifted = |range: Range<usize>| range.start.saturating_sub(before)..range.end - before;
        let found: Vec<_> = found.into_iter().filter(own).map(shifted).collect();
        let masked = replaced(piece.as_bytes(), &found);
        String::from_utf8(masked)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

/// The bytes with masks in place of these ranges, which come in order and may touch.
fn replaced(bytes: &[u8], found: &[Range<usize>]) -> Vec<u8> {
    let mut masked = Vec::with_capacity(bytes.len());
    let mut done = 0;
    for range in found {
        if range.start >= done {
            masked.extend_from_slice(bytes.get(done..range.start).unwrap_or_default());
            masked.extend_from_slice(MASK.as_bytes());
        }
        done = done.max(range.end);
    }
    masked.extend_from_slice(bytes.get(done..).unwrap_or_default());
    masked
}

/// A value in the ways in which it may be written.
fn forms(value: &str) -> Vec<Vec<u8>> {
    if value.len() < SHORTEST {
        return Vec::new();
    }
    let json = Value::from(value).to_string();
    let json = json.trim_matches('"').to_owned();
    let mut forms = vec![
        value.to_owned(),
        json,
        value.replace('$', "$$"),
        percent_encoded(value, true, false),
        percent_encoded(value, false, false),
        percent_encoded(value, true, true),
        percent_encoded(value, false, true),
    ];
    forms.extend(base64_forms(value));
    forms.into_iter().map(String::into_bytes).filter(|form| form.len() >= SHORTEST).collect()
}

/// How it looks within the base64 of a longer text: three ways, by where it begins, without the
/// characters that its neighbours have a part in.
fn base64_forms(value: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for before in [&[][..], &[0], &[0, 0]] {
        let padded = [before, value.as_bytes()].concat();
        let (first, last) = ((before.len() * 8).div_ceil(6), padded.len() * 8 / 6);
        for alphabet in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let encoded = alphabet.encode(&padded);
            forms.extend(encoded.get(first..last).map(str::to_owned));
        }
    }
    forms.retain(|form| form.len() >= SHORTEST_BASE64);
    forms
}

/// As it stands in a URL: everything but letters, digits and, where `strict`, `-._~` is encoded.
fn percent_encoded(value: &str, strict: bool, lower: bool) -> String {
    let kept = if strict { "-._~" } else { "-._~!$&'()*+,;=:@/?" };
    let mut text = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(char::from(byte)) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _written: std::fmt::Result =
                if lower { write!(text, "%{byte:02x}") } else { write!(text, "%{byte:02X}") };
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    use super::*;

    fn masks(values: &[&str]) -> Masks {
        let masks = Masks::default();
        values.iter().for_each(|value| masks.add(&SecretString::from(*value)));
        masks
    }

    #[test]
    fn a_value_is_masked_as_it_is_and_in_other_writings() {
        let secret = "p@ss/w\"rd+1$";
        let masks = masks(&[secret]);
        for text in [
            format!("a {secret} b"),
            format!("a {} b", json!({ "x": secret })),
            "a p%40ss%2Fw%22rd%2B1%24 b".to_owned(),
            "a p%40ss%2fw%22rd%2b1%24 b".to_owned(),
            "a p@ss/w%22rd+1$ b".to_owned(),
            "a p@ss/w\"rd+1$$ b".to_owned(),
        ] {
            let masked = masks.text(&text);
            assert!(masked.contains(MASK) && !masked.contains("ss/w"), "{text}: {masked}");
            assert!(!masked.contains("%40ss"), "{masked}");
            assert!(masked.starts_with("a ") && (masked.ends_with('b') || masked.ends_with('}')));
        }
    }

    #[test]
    fn a_value_is_masked_within_base64_wherever_it_begins() {
        let secret = "s3cret-value";
        let masks = masks(&[secret]);
        for before in ["", "x", "xy", "user:"] {
            for after in ["", "a", "ab"] {
                let text = STANDARD.encode(format!("{before}{secret}{after}"));
                let masked = masks.text(&text);
                assert!(masked.contains(MASK), "{before}|{after}: {masked}");
            }
        }
    }

    #[test]
    fn values_that_overlap_are_masked_whole() {
        let masks = masks(&["abcdefgh", "efghijkl", "abcdefghijk"]);
        assert_eq!(masks.text("1abcdefghijkl2"), "1•••2");
        assert_eq!(masks.text("abcdefghabcdefgh!"), "•••!");
    }

    #[test]
    fn all_forms_at_once_are_found_where_each_is() {
        let known = ["abcabcabc", "bcab--", "s3cret$value", "--s3cret"];
        for text in ["abcabcabcabca", "bcab--s3cret$value", "x s3cret%24value abcabcab", ""] {
            let one_by_one = masks(&known).text(text);
            let all = masks(&known);
            assert!(!all.text(&"x".repeat(SHORT + 1)).contains(MASK));
            assert_eq!(all.text(text), one_by_one);
        }
        let often = masks(&known);
        let shown: BTreeSet<String> =
            (0..2 * SEARCHES).map(|_| often.text("-abcabcabc-")).collect();
        assert_eq!(shown, BTreeSet::from(["-•••-".to_owned()]));
    }

    #[test]
    fn a_short_value_is_not_masked() {
        assert_eq!(masks(&["yes"]).text("yes, yes"), "yes, yes");
        assert_eq!(masks(&[]).text("anything"), "anything");
    }

    #[test]
    fn the_lines_of_a_private_key_are_masked_and_not_its_frame() {
        let line = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAA";
        let key = format!("-----BEGIN KEY-----\n{line}\nzzzz\n-----END KEY-----\n");
        let masks = masks(&[&key]);
        assert_eq!(masks.text(&format!("  {line}\n")), "  •••\n");
        assert_eq!(masks.text("-----BEGIN KEY-----"), "-----BEGIN KEY-----");
    }

    #[test]
    fn a_value_that_is_parted_by_pieces_is_masked_in_both() {
        let masks = masks(&["0123456789"]);
        for cut in 0..=10 {
            let text = "x0123456789y";
            let (first, second) = text.split_at(1 + cut);
            let mut pieces = Pieces::default();
            let shown = pieces.next(&masks, first, true) + &pieces.next(&masks, second, false);
            let left = shown.replace(MASK, "");
            assert!(left.len() <= 2 + 2 && left.starts_with('x') && left.ends_with('y'), "{shown}");
        }
        assert_eq!(masks.cut_text("ends in 01234"), "ends in •••");
        assert_eq!(masks.cut_text("0123456789 and more"), "••• and more");
    }

    #[test]
    fn texts_in_json_are_masked_deep_down() {
        let mut value = json!({ "a": ["x s3cretvalue", { "s3cretvalue": 1 }], "b": 2 });
        masks(&["s3cretvalue"]).value(&mut value);
        assert_eq!(value, json!({ "a": ["x •••", { "•••": 1 }], "b": 2 }));
    }
}
