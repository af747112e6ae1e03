//! Prints headlines, and for each goal whether it was met.

use std::fmt::Display;

/// Prints a headline.
pub fn headline(text: &str) {
    println!("\n{text}\n{}", "=".repeat(text.chars().count()));
}

/// Prints whether a ratio is at most its limit, and at most its goal.
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

/// Prints whether a ratio is at most its goal.
pub fn goal(what: &str, ratio: f64, goal: f64) {
    line(
        ratio <= goal,
        what,
        format_args!("{ratio:.3}, goal ≤ {goal:.2}"),
    );
}

/// Prints whether a figure is at most its limit.
pub fn at_most(what: &str, figure: f64, bound: f64, unit: &str) {
    line(
        figure <= bound,
        what,
        format_args!("{figure:.1} {unit}, must be ≤ {bound} {unit}"),
    );
}

/// Prints whether a figure is at least its limit.
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

/// Prints whether a condition is met, with a description of the result.
pub fn line(is_met: bool, what: &str, seen: impl Display) {
    println!("  {:7}  {what}: {seen}", verdict(is_met));
}

/// Prints that a measurement was skipped, and why.
pub fn left_out(what: &str, reason: &str) {
    println!("  {what}: not here: {reason}");
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "NOT MET" }
}
