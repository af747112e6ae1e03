//! The table of exit codes, and its copy in the README.

use crate::support::Guard;

const README: &str = include_str!("../../README.md");

#[test]
fn the_table_is_printed_for_people_and_for_machines() {
    let ended = Guard::new().line("exit-codes").run().expect_code(0);
    insta::assert_snapshot!(ended.stdout());
    let ended = Guard::new()
        .line("exit-codes --format json")
        .run()
        .expect_code(0);
    let rows: serde_json::Value = serde_json::from_str(&ended.stdout()).expect("the table is JSON");
    assert_eq!(rows[0]["code"], "0");
    assert!(rows.as_array().is_some_and(|rows| {
        rows.iter()
            .any(|row| row["code"] == "78" && row["retry"] == "no")
    }));
}

#[test]
fn the_readme_has_the_same_table() {
    let ended = Guard::new()
        .line("exit-codes --format json")
        .run()
        .expect_code(0);
    let rows: Vec<serde_json::Value> =
        serde_json::from_str(&ended.stdout()).expect("the table is JSON");
    for row in &rows {
        let text = |field: &str| row[field].as_str().unwrap_or_default();
        let line = format!(
            "| {} | {} | {} |",
            text("code"),
            text("meaning"),
            text("retry")
        );
        assert!(README.contains(&line), "the README has no line\n{line}");
    }
    let documented = README.lines().filter(|line| {
        line.strip_prefix("| ")
            .is_some_and(|cell| cell.starts_with(|first: char| first.is_ascii_digit()))
    });
    assert_eq!(
        documented.count(),
        rows.len(),
        "the README has rows that the table has not"
    );
}
