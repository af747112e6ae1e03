//! Compares the masker with a naive one.

use std::ops::Range;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{MASK, Mask, Masker};
use crate::environment::is_soak;

fn masked<'a>(secrets: &[Vec<u8>], pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mask = Mask::new(secrets);
    let mut masker = Masker::new(&mask);
    let mut out = Vec::new();
    for piece in pieces {
        masker.feed(piece, &mut out);
    }
    masker.finish(&mut out);
    out
}

fn bytes(secrets: &[&str]) -> Vec<Vec<u8>> {
    secrets
        .iter()
        .map(|secret| secret.as_bytes().to_vec())
        .collect()
}

fn masked_text(secrets: &[&str], pieces: &[&str]) -> String {
    let pieces = pieces.iter().map(|piece| piece.as_bytes());
    String::from_utf8(masked(&bytes(secrets), pieces)).expect("these texts are UTF-8")
}

/// Masks a whole text: looks for every secret at every position, and merges overlapping ones.
fn naively_masked(secrets: &[Vec<u8>], text: &[u8]) -> Vec<u8> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for start in 0..text.len() {
        let found = secrets
            .iter()
            .filter(|secret| text[start..].starts_with(secret));
        let Some(length) = found.map(Vec::len).max() else {
            continue;
        };
        match spans.last_mut() {
            Some(last) if start < last.end => last.end = last.end.max(start + length),
            _ => spans.push(start..start + length),
        }
    }
    let mut out = Vec::new();
    let mut at = 0;
    for span in spans {
        out.extend_from_slice(&text[at..span.start]);
        out.extend_from_slice(MASK);
        at = span.end;
    }
    out.extend_from_slice(&text[at..]);
    out
}

/// Texts over a small alphabet, so that secrets overlap themselves and each other.
fn text(length: Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(proptest::sample::select(b"aab\n".to_vec()), length)
}

#[test]
fn a_stream_is_masked_like_its_whole_text_however_it_is_split() {
    let case = (
        proptest::collection::vec(text(1..9), 0..5),
        text(0..40),
        proptest::collection::vec(1..8_usize, 40),
    );
    let config = Config {
        cases: if is_soak() { 3_000_000 } else { 30_000 },
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&case, |(secrets, text, lengths)| {
        let mut rest = text.as_slice();
        let pieces = lengths.iter().map(|&length| {
            let (piece, after) = rest.split_at(length.min(rest.len()));
            rest = after;
            piece
        });
        prop_assert_eq!(
            masked(&secrets, pieces),
            naively_masked(&secrets, &text),
            "{:?} in {:?}",
            secrets,
            text
        );
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_secret_that_a_later_piece_completes_is_masked() {
    let secrets = ["svc:tok-AAAA", "tok-AAAAbeef"];
    assert_eq!(
        masked_text(&secrets, &["svc:tok-AAAA", "d", "one"]),
        "***done"
    );
    assert_eq!(
        masked_text(&["abc123Xabc123"], &["abc123Xabc123", "X", "z"]),
        "***Xz"
    );
}

#[test]
fn a_secret_over_several_lines_is_masked_whole_and_line_by_line() {
    let secrets = [
        "BEGIN KEY\nx\nQUJDREVGRw\nEND KEY",
        "BEGIN KEY",
        "QUJDREVGRw",
        "END KEY",
    ];
    assert_eq!(
        masked_text(&secrets, &["> BEGIN KEY\nx\n", "QUJDREVGRw\nEND", " KEY <"]),
        "> *** <"
    );
    assert_eq!(
        masked_text(&secrets, &["only QUJDREVGRw here"]),
        "only *** here"
    );
}

#[test]
fn text_that_only_begins_like_a_secret_is_released_as_soon_as_possible() {
    let mask = Mask::new(&bytes(&["secret-value"]));
    let mut masker = Masker::new(&mask);
    let mut out = Vec::new();
    masker.feed(b"line\nsecret-", &mut out);
    assert_eq!(out, b"line\n");
    masker.feed(b"santa\n", &mut out);
    assert_eq!(out, b"line\nsecret-santa\n");
}

#[test]
fn the_time_is_linear_in_the_output_for_any_secrets() {
    let text = vec![b'a'; 4 * 1024 * 1024];
    let nested: Vec<Vec<u8>> = (1..1000).map(|length| vec![b'a'; length]).collect();
    let nearly = [vec![b'a'; 10_000], b"b".to_vec()].concat();
    for secrets in [vec![vec![b'a'; 10_000]], nested, vec![nearly]] {
        for size in [64 * 1024, 16] {
            let started = Instant::now();
            let is_all = secrets[0].contains(&b'b');
            let out = masked(&secrets, text.chunks(size));
            assert_eq!(out.len(), if is_all { text.len() } else { MASK.len() });
            // A search that starts again at every byte would take minutes.
            let took = started.elapsed();
            assert!(took < Duration::from_secs(20), "{took:?}");
        }
    }
}
