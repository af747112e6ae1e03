//! Limits on the size of a file and of its expanded values.

use crate::dotenv::cursor::{TOO_LONG, TOO_MUCH};
use crate::dotenv::{Dialect, EnvFile, LineFault, parse};
use crate::report::Note;

fn read(source: &str, dialect: Dialect) -> Result<EnvFile, Vec<LineFault>> {
    parse("f", source, dialect, &|name| {
        (name == "SET").then_some("caller")
    })
}

fn line_of(note: &Note) -> Option<usize> {
    Some(note.source.as_ref()?.line)
}

/// A file whose first value has 16 bytes, and in which each further line doubles the value before it with two
/// references.
fn doublings(lines: usize, reference: impl Fn(&str) -> String) -> String {
    let mut text = "A0=0123456789abcdef\n".to_owned();
    for line in 1..=lines {
        let reference = reference(&format!("A{}", line - 1));
        text.push_str(&format!("A{line}={reference}{reference}\n"));
    }
    text
}

#[test]
fn an_expanded_value_longer_than_linux_accepts_is_a_fault_of_its_line() {
    let plain = doublings(30, |name| format!("${name}"));
    let braced = doublings(30, |name| format!("${{{name}}}"));
    let nested = doublings(30, |name| format!("${{NONE:-${{{name}}}}}"));
    let alternative = doublings(30, |name| format!("${{SET:+${name}}}"));
    let quoted = braced.replace("}\n", "}\"\n").replace("=$", "=\"$");
    for (source, dialect) in [
        (&plain, Dialect::Compose),
        (&braced, Dialect::Compose),
        (&nested, Dialect::Compose),
        (&alternative, Dialect::Compose),
        (&quoted, Dialect::Compose),
        (&braced, Dialect::PythonDotenv),
        (&quoted, Dialect::PythonDotenv),
    ] {
        let faults = read(source, dialect).expect_err("the values are too long");
        // A1 is in line 2, so A13, which has 16 bytes doubled 13 times (128 KiB), is in line 14.
        assert_eq!(faults[0].line, 14, "{dialect:?}");
        assert_eq!(faults[0].text, TOO_LONG);
    }
}

#[test]
fn the_longest_variable_that_linux_accepts_is_read_and_a_longer_one_is_a_fault() {
    // `A=`, the value and a NUL are 128 KiB.
    let longest = 128 * 1024 - 3;
    for (length, is_read) in [(longest, true), (longest + 1, false)] {
        let text = "x".repeat(length);
        let referring = format!("A=${{B}}x\nB=\nC='{}'\n", &text[4..]);
        assert!(read(&referring, Dialect::Compose).is_ok());
        let half = length / 2;
        let referring = format!("B={}\nA=${{B}}{}", &text[half..], &text[..half]);
        for (source, dialect) in [
            (format!("A={text}"), Dialect::Compose),
            (format!("A='{text}'"), Dialect::Compose),
            (referring.clone(), Dialect::Compose),
            (format!("A={text}"), Dialect::PythonDotenv),
            (referring, Dialect::PythonDotenv),
            (format!("A={text}"), Dialect::Kv),
        ] {
            assert_eq!(read(&source, dialect).is_ok(), is_read, "{dialect:?}");
        }
    }
}

#[test]
fn a_file_whose_expanded_values_exceed_the_limit_is_a_fault_of_the_line_that_exceeds_it() {
    // Each line adds 100,000 bytes.
    let mut references = format!("A={}\n", "x".repeat(100_000));
    for line in 0..100_000 {
        references.push_str(&format!("B{line}=${{A}}\n"));
    }
    for dialect in [Dialect::Compose, Dialect::PythonDotenv] {
        let faults = read(&references, dialect).expect_err("this is too much");
        // The first line counts as well: 41 lines are below 4 MiB.
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [42], "{dialect:?}");
        assert_eq!(faults[0].text, TOO_MUCH);
    }
    // Docker expands no reference. One remark says that another reader exceeds the limit.
    let file = read(&references, Dialect::Docker).expect_err("the first line is too long");
    assert_eq!(file[0].line, 1);
}

#[test]
fn a_value_that_a_name_inherits_is_limited_as_well() {
    let long = "x".repeat(100_000);
    let lookup = |_: &str| Some(long.as_str());
    let faults = parse("f", &"A\n".repeat(1_000), Dialect::Docker, &lookup).expect_err("too much");
    assert_eq!(faults[0].line, 42);
}

#[test]
fn the_limit_of_another_reader_is_one_remark_where_it_is_exceeded() {
    let source = doublings(100, |name| format!("${{{name}}}"));
    let file = read(&source, Dialect::Docker).expect("docker replaces nothing");
    let told: Vec<&str> = file
        .notes
        .iter()
        .filter(|note| line_of(note) == Some(14))
        .map(|note| note.text.as_str())
        .collect();
    assert_eq!(told, ["compose expands it to more than Linux accepts"]);
}

#[test]
fn a_thousand_remarks_are_kept_and_the_rest_is_counted() {
    let source = "A='x'\n".repeat(100_000);
    let file = read(&source, Dialect::PythonDotenv).expect("it can be read");
    assert_eq!(file.notes.len(), 1_001);
    // Each line except the first sets the name again, and docker keeps the quotes of every line.
    let last = file.notes.last().expect("there are notes");
    assert_eq!(line_of(last), Some(501));
    assert_eq!(last.text, "is the first of 198999 notes that are left out");
}

#[test]
fn large_files_are_read_in_linear_time() {
    // A parser that takes quadratic time for one of these texts would take minutes.
    for piece in [
        "${",
        "${:-",
        "${a:x",
        "${A:-",
        "${A:+",
        "${B:+}",
        "${B-}",
        "$B",
        "$",
        "$$",
        "\"",
        "'",
        "\\",
        "\\\"",
        " #",
        "x",
        "A=\"\n",
        "A='\n",
        "'A\n",
        "A=${A:-\n",
        "A=\"${B:+x\n",
        "A=\"$1\n",
        "=\n",
        "A\n",
        "SET\n",
        "A: 1\n",
        "\n",
        "\r",
        "export ",
        "${a:x}",
        "}",
        "-----BEGIN X\n",
    ] {
        let long = format!("B={}\n", "y".repeat(60_000));
        let source = format!("{long}A={}", piece.repeat(100_000 / piece.len()));
        for (_, dialect) in Dialect::NAMES {
            let started = std::time::Instant::now();
            let _ = read(&source, dialect);
            assert!(started.elapsed().as_secs() < 5, "{piece:?} in {dialect:?}");
        }
    }
    let mut names = String::new();
    for number in 0..20_000 {
        names.push_str(&format!("A{number}=\n"));
    }
    for (_, dialect) in Dialect::NAMES {
        let started = std::time::Instant::now();
        assert!(read(&names, dialect).is_ok());
        assert!(started.elapsed().as_secs() < 5, "{dialect:?}");
    }
}
