//! How deep a text nests lists and mappings in brackets. The YAML parser looks at every open bracket again at
//! every token, so a text of nothing but brackets would keep it busy for hours before it refuses the depth.

/// More open brackets than any manifest has; the parser itself refuses a depth of 128, and this only has to come
/// before its time does.
const MAX_DEPTH: usize = 1000;

/// The line, counted from 1, on which a text is nested too deep; nothing where it is not.
///
/// Only brackets that stand where a value may begin are counted as open, so one in the middle of a text, such
/// as a pattern's, is none.
pub fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut may_begin = true;
    for (position, &byte) in text.as_bytes().iter().enumerate() {
        match byte {
            b'[' | b'{' if may_begin => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Some(text[..position].matches('\n').count() + 1);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            // They leave it as it is.
            b' ' | b'\t' | b'\r' => continue,
            _ => {}
        }
        may_begin = matches!(byte, b'[' | b'{' | b',' | b':' | b'-' | b'?' | b'\n');
    }
    None
}

#[cfg(test)]
mod tests {
    use super::too_deep;

    #[test]
    fn open_brackets_are_too_many_on_one_line_or_on_several() {
        assert_eq!(too_deep(&format!("a: {}", "[".repeat(1000))), None);
        assert_eq!(too_deep(&format!("a: {}", "[".repeat(1001))), Some(1));
        assert_eq!(
            too_deep(&format!("a:\n{}", "{b:\n".repeat(2000))),
            Some(1002)
        );
        assert_eq!(too_deep(&"- [ ".repeat(2000)), Some(1));
    }

    #[test]
    fn brackets_in_texts_and_closed_ones_are_not_deep() {
        let pattern = "A: {pattern: \"^\\\\[x\", hint: 'a [ in a text'}\n";
        assert_eq!(too_deep(&pattern.repeat(5000)), None);
        assert_eq!(too_deep(&"a: [[x], {y: z}]\n".repeat(5000)), None);
        assert_eq!(too_deep(""), None);
    }
}
