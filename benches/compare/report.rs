//! What the benchmark prints beside its tables: headlines, and for each goal whether it was met.

use std::fmt::Display;

/// Prints a headline.
pub fn headline(text: &str) {
    println!("\n{text}\n{}", "=".repeat(text.chars().count()));
}

/// Prints whether a ratio is at most what it must be, and what it should be.
pub fn ratio(what: &str, ratio: f64, bound: f64, goal: f64) {
    line(
        ratio <= bound,
        what,
        format_args!(
            "{ratio:.3}, must be ≤ {bound:.2}; goal {goal:.2}: {}",
            verdict(ratio <= goal)
        ),
    );
}

/// Prints whether a figure is at most what it must be.
pub fn at_most(what: &str, figure: f64, bound: f64, unit: &str) {
    line(
        figure <= bound,
        what,
        format_args!("{figure:.1} {unit}, must be ≤ {bound} {unit}"),
    );
}

/// Prints whether a figure is at least what it must be.
pub fn at_least(what: &str, figure: f64, bound: f64, unit: &str) {
    line(
        figure >= bound,
        what,
        format_args!("{figure:.1} {unit}, must be ≥ {bound} {unit}"),
    );
}

/// Prints whether a size is below a bound.
pub fn below(what: &str, size: u64, bound: u64, unit: &str) {
    line(
        size < bound,
        what,
        format_args!("{size} {unit}, must be < {bound} {unit}"),
    );
}

/// Prints whether something holds, and what was seen of it.
pub fn line(is_met: bool, what: &str, seen: impl Display) {
    println!("  {:7}  {what}: {seen}", verdict(is_met));
}

/// Prints that something was left out, and why.
pub fn left_out(what: &str, reason: &str) {
    println!("  {what}: not here: {reason}");
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "NOT MET" }
}
