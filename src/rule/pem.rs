//! PEM texts, such as private keys and certificates (RFC 7468).

use super::{Checked, ensure};
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
    let fix = "set the whole text, with its line breaks";
    let is_alone = text.trim().lines().count() == 1;
    if !text.contains("-----END ") {
        let problem = if is_alone {
            "is only the first line of a PEM text"
        } else {
            "is a PEM text without its END line"
        };
        return Err(wrong_type(problem, fix));
    }
    let mut open = None;
    let mut base64 = String::new();
    for line in text.lines().map(str::trim) {
        let label = |before: &str| line.strip_prefix(before)?.strip_suffix("-----");
        if let Some(begun) = label(BEGIN) {
            let problem = if begun.contains("-----END ") {
                "is a PEM text whose line breaks were removed, or became spaces"
            } else {
                "is a PEM text with a BEGIN line inside a block"
            };
            ensure(open.is_none() && !begun.contains("-----"), problem, fix)?;
            open = Some(begun);
            base64.clear();
        } else if let Some(label) = open {
            // Headers such as `DEK-Info: …`, and the checksum of PGP.
            let is_header =
                line.contains(": ") || label.starts_with("PGP ") && line.starts_with('=');
            if line.starts_with("-----") {
                let is_end = line.strip_prefix("-----END ") == Some(&format!("{label}-----"));
                let problem = "is a PEM text whose BEGIN and END lines do not match";
                ensure(is_end, problem, fix)?;
                let problem =
                    "is a PEM text with something other than base64 between BEGIN and END";
                ensure(is_base64(&base64), problem, fix)?;
                open = None;
            } else if !is_header {
                base64.push_str(line);
            }
        } else {
            let problem = "is a PEM text whose line breaks were removed, or became spaces";
            ensure(!line.contains(BEGIN), problem, fix)?;
        }
    }
    ensure(open.is_none(), "is a PEM text without its END line", fix)
}

fn is_base64(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let digits = text.trim_end_matches('=');
    !digits.is_empty()
        && text.len().is_multiple_of(4)
        && text.len() - digits.len() <= 2
        && digits.bytes().all(is_digit)
}
