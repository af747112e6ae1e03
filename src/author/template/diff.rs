//! The differences between a file and the template. A line that only the file has may contain a secret, so at most the
//! name of the variable in it is shown.

/// The largest number of pairs of lines that are compared. Of larger differences, all lines are listed.
const MAX_PAIRS: usize = 4_000_000;

/// The differences between two texts.
pub struct Diff {
    /// In the manner of a unified diff, without lines that are the same.
    pub text: String,
    /// The number of places where the texts differ.
    pub places: usize,
}

impl Diff {
    /// Compares the file's text, which begins at line `first_line` of the file, with the template. `names` are the
    /// declared variables.
    pub fn of(file: &str, template: &str, first_line: usize, names: &[&str]) -> Self {
        let mut diff = Diff {
            text: String::new(),
            places: 0,
        };
        let marked = file.strip_prefix('\u{feff}');
        if marked.is_some() {
            diff.name("the file begins with a byte-order mark");
        }
        let file = marked.unwrap_or(file);
        let has_windows_ends = file.contains("\r\n");
        if has_windows_ends {
            diff.name("the file has Windows line ends (CRLF); the template has LF");
        }
        if !file.is_empty() && !file.ends_with('\n') {
            diff.name("the file has no line break at its end");
        }
        let (old, new): (Vec<&str>, Vec<&str>) =
            (file.lines().collect(), template.lines().collect());
        let same = old.iter().zip(&new).take_while(|(one, other)| one == other);
        let start = same.count();
        let (old, new) = (&old[start..], &new[start..]);
        let ends = old.iter().rev().zip(new.iter().rev());
        let end = ends.take_while(|(one, other)| one == other).count();
        let (old, new) = (&old[..old.len() - end], &new[..new.len() - end]);
        diff.add(old, new, first_line + start, names);
        if diff.places == 0 {
            // Only a lone carriage return or the number of line breaks at the end is left.
            diff.name("the file has other line breaks");
        }
        diff
    }

    fn name(&mut self, what: &str) {
        self.places += 1;
        self.text += &format!("@@ {what} @@\n");
    }

    /// Adds the differences between the lines, by their longest common subsequence.
    fn add(&mut self, old: &[&str], new: &[&str], first_line: usize, names: &[&str]) {
        let common = common(old, new);
        let width = new.len() + 1;
        let (mut at, mut to) = (0, 0);
        let mut is_inside = false;
        while at < old.len() || to < new.len() {
            let length = |at: usize, to: usize| common.get(at * width + to).copied();
            let is_same =
                !common.is_empty() && old.get(at).is_some_and(|line| new.get(to) == Some(line));
            if is_same {
                (at, to, is_inside) = (at + 1, to + 1, false);
                continue;
            }
            if !is_inside {
                self.name(&format!("line {}", first_line + at));
                is_inside = true;
            }
            let is_old =
                to == new.len() || at < old.len() && length(at + 1, to) >= length(at, to + 1);
            if is_old {
                self.text += &format!("-{}\n", shown(old[at], names));
                at += 1;
            } else {
                self.text += &format!("+{}\n", new[to]);
                to += 1;
            }
        }
    }
}

/// The length of the longest common subsequence of the lines from each pair of positions on. Empty if there are too many
/// pairs.
fn common(old: &[&str], new: &[&str]) -> Vec<u32> {
    let width = new.len() + 1;
    let size = (old.len() + 1) * width;
    if size > MAX_PAIRS {
        return Vec::new();
    }
    let mut lengths = vec![0; size];
    for at in (0..old.len()).rev() {
        for to in (0..new.len()).rev() {
            lengths[at * width + to] = if old[at] == new[to] {
                lengths[(at + 1) * width + to + 1] + 1
            } else {
                lengths[(at + 1) * width + to].max(lengths[at * width + to + 1])
            };
        }
    }
    lengths
}

/// What may be shown of a line of the file: the name of the variable with which it begins.
fn shown(line: &str, names: &[&str]) -> String {
    let text = line.trim_start_matches(|other: char| "#|` \t".contains(other));
    let text = text.strip_prefix("export ").unwrap_or(text).trim_start();
    let end = text.find(|other: char| other.is_whitespace() || "=:`|".contains(other));
    let name = &text[..end.unwrap_or(text.len())];
    match line.trim() {
        "" => String::new(),
        _ if names.contains(&name) => format!("{name} (the rest of the line is not shown)"),
        _ => "(a line that is not shown)".to_owned(),
    }
}
