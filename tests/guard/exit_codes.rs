//! The table of exit codes, and its copy in the documentation.

use crate::support::Guard;

const PAGE: &str = include_str!("../../docs/exit-codes.md");

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
fn the_documentation_has_the_same_table() {
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
        assert!(PAGE.contains(&line), "the page has no line\n{line}");
    }
    let documented = PAGE.lines().filter(|line| {
        line.strip_prefix("| ")
            .is_some_and(|cell| cell.starts_with(|first: char| first.is_ascii_digit()))
    });
    assert_eq!(
        documented.count(),
        rows.len(),
        "the page has rows that the table has not"
    );
}
