//! PEM texts, such as private keys and certificates (RFC 7468).

use super::{Checked, ensure, warn_unless};
use crate::report::wrong_type;

/// How a PEM text begins.
pub const BEGIN: &str = "-----BEGIN ";

/// The beginning of every PEM text in base64.
const BASE64_OF_BEGIN: &str = "LS0tLS1CRUdJTi";

/// Checks the shape of a PEM text: one or several blocks, with any text around them. If `is_escaped` is true, its line
/// breaks may be the two characters `\n`.
pub fn check_pem(value: &str, is_escaped: bool) -> Checked {
    let problem = "is the base64 form of a PEM text";
    let fix = "decode it with base64 -d";
    ensure(!value.starts_with(BASE64_OF_BEGIN), problem, fix)?;
    let fix = "write it from its BEGIN line to its END line";
    ensure(value.contains(BEGIN), "is not a PEM text", fix)?;
    let problem = "is a PEM text whose line breaks are the two characters \\n";
    let fix = "set it with real line breaks or as a file, or declare `type: pem` and `escaped: true` if the program replaces them";
    ensure(is_escaped || !value.contains("\\n"), problem, fix)?;
    let text = value.replace("\\r", "").replace("\\n", "\n");
    let text = text.replace('\r', "");
    let fix = "set the whole text, with its line breaks";
    for block in text.split(BEGIN).skip(1) {
        let (label, rest) = block.split_once("-----").unwrap_or((block, ""));
        let Some((inside, end)) = rest.split_once("-----END ") else {
            let problem = match text.trim().lines().count() {
                1 => "is only the first line of a PEM text",
                _ => "is a PEM text without its END line",
            };
            return Err(wrong_type(problem, fix));
        };
        let is_closed = end.starts_with(&format!("{label}-----"));
        let problem = "is a PEM text whose BEGIN and END lines do not match";
        ensure(is_closed, problem, fix)?;
        let blank = [' ', '\t'];
        let unindented = inside.trim_matches(blank);
        let has_lines = unindented.starts_with('\n') && unindented.ends_with('\n');
        let problem = "is a PEM text whose line breaks were removed, or became spaces";
        ensure(has_lines, problem, fix)?;
        // Headers such as `DEK-Info: …`, and the checksum of PGP.
        let is_base64_line = |line: &&str| !line.contains(": ") && !line.starts_with('=');
        let lines = inside.lines().map(str::trim);
        let base64: String = lines.filter(is_base64_line).collect();
        let problem = "is a PEM text with something other than base64 between BEGIN and END";
        ensure(is_base64(&base64), problem, fix)?;
        let problem = "is a PEM text whose lines begin with white space, which OpenSSL refuses";
        let fix = "remove the white space before each line";
        warn_unless(inside.ends_with('\n'), problem, fix)?;
    }
    Ok(())
}

fn is_base64(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let digits = text.trim_end_matches('=');
    !digits.is_empty()
        && text.len().is_multiple_of(4)
        && text.len() - digits.len() <= 2
        && digits.bytes().all(is_digit)
}
