//! How figures are shown.

use std::time::Duration;

/// A line of the table.
pub(crate) fn line(what: &str, figure: &str, beside: &str) {
    println!("{what:<44} {figure:>28}   {beside}");
}

/// A figure that must not be larger than a goal, and whether it is.
pub(crate) fn at_most(figure: f64, goal: f64, unit: &str) -> String {
    let verdict = if figure <= goal { "met" } else { "NOT MET" };
    format!("{figure:.2} {unit}; goal: at most {goal}, {verdict}")
}

/// The same of one that must not be smaller.
pub(crate) fn at_least(figure: f64, goal: f64, unit: &str) -> String {
    let verdict = if figure >= goal { "met" } else { "NOT MET" };
    format!("{figure:.2} {unit}; goal: at least {goal}, {verdict}")
}

/// Sorted times as their median and their slowest hundredth.
pub(crate) fn spread(sorted: &[Duration]) -> String {
    format!("p50 {:.2} ms · p99 {:.2} ms", ms(at(sorted, 50)), ms(at(sorted, 99)))
}

/// The time that so many percent stay below.
pub(crate) fn at(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// In milliseconds.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// How many times the other one.
pub(crate) fn times(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}
