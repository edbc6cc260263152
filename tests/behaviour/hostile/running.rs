//! What a compiled plugin does at the limits of its run.

use super::{Door, Expected, Hostile};

pub(super) fn all() -> Vec<Hostile> {
    use Expected::{Completed, Failed};
    let mut all = vec![
        ("panics", Failed("plugin_trapped", "its own words are in the log")),
        ("exits", Failed("plugin_trapped", "return a failure")),
        ("eats-memory", Failed("plugin_trapped", "its own words are in the log")),
        ("recurses", Failed("plugin_trapped", "calls itself too deep")),
        ("floods-stdout", Completed),
        ("floods-stdout-in-one-line", Completed),
        ("floods-the-log", Completed),
        ("steps-without-end", Completed),
        ("plans-without-end", Failed("journal_too_large", "128 MiB")),
        ("calls-without-end", Failed("too_many_calls", "100000")),
        ("asks-without-end", Failed("too_many_effects", "20000")),
        ("asks-for-much", Failed("journal_too_large", "128 MiB")),
        ("hands-over-much", Failed("plugin_trapped", "more than 8 MiB in one call")),
        ("hands-over-many-names", Completed),
        ("hands-over-too-many-names", Failed("plugin_trapped", "more than 8 MiB in one call")),
        ("answers-much", Failed("plugin_trapped", "more than 8 MiB in one call")),
        ("answers-no-json", Failed("bad_result", "is no JSON")),
        ("answers-deep", Failed("bad_result", "is no JSON")),
        ("answers-beside-the-schema", Failed("bad_result", "not what it promised")),
        ("answers-many-wrongs", Failed("bad_result", "not what it promised: /texts/0")),
        ("fails-at-length", Failed("plugin_failed", "[…cut]")),
    ];
    if std::env::var_os("SLOW_TESTS").is_some() {
        all.push(("loops", Failed("computing_too_long", "30 s")));
    }
    let guest = |(name, expected): (&str, Expected)| Hostile {
        name: name.to_owned(),
        door: Door::Name,
        expected,
    };
    all.into_iter().map(guest).collect()
}
