//! The process's environment and arguments, read once into plain values. No other file of the program reads them,
//! so tests can give every other module made-up values.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the one file that reads the process's environment"
)]

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Names and values in their order, as any bytes. No name is in it twice.
#[derive(Clone, Default)]
pub struct Environment {
    entries: Vec<Entry>,
    /// Positions in `entries`, sorted by name.
    by_name: Vec<usize>,
    /// Further entries of names that are in `entries`. `execve` allows them, and programs differ in which one they
    /// use: `getenv` takes the first, dash the last. So only the first is passed on.
    duplicates: Vec<Entry>,
}

/// A name and its value.
type Entry = (OsString, OsString);

/// The arguments of this process, without the program's own name.
pub fn arguments() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}

/// Whether property tests run with their full number of cases.
#[cfg(test)]
pub fn is_soak() -> bool {
    std::env::var_os("STARTUP_GUARD_SOAK").is_some_and(|value| value == "1")
}

/// The folder in which tests create files.
#[cfg(test)]
pub fn temporary_folder() -> std::path::PathBuf {
    std::env::temp_dir()
}

impl Environment {
    /// The environment that this process was started with.
    pub fn snapshot() -> Self {
        Self::from_entries(std::env::vars_os().collect())
    }

    /// An environment of these entries, in this order. Of several entries with one name the first counts.
    pub fn from_entries(mut entries: Vec<Entry>) -> Self {
        let mut by_name: Vec<usize> = (0..entries.len()).collect();
        // A stable sort: entries with one name stay in their order.
        by_name.sort_by(|&a, &b| entries[a].0.cmp(&entries[b].0));
        let mut is_duplicate = vec![false; entries.len()];
        for pair in by_name.windows(2) {
            is_duplicate[pair[1]] = entries[pair[0]].0 == entries[pair[1]].0;
        }
        let mut is_duplicate = is_duplicate.into_iter();
        let duplicates: Vec<Entry> = entries
            .extract_if(.., |_| is_duplicate.next() == Some(true))
            .collect();
        if !duplicates.is_empty() {
            // The positions have changed.
            let first = Self::from_entries(entries);
            return Self {
                duplicates,
                ..first
            };
        }
        Self {
            entries,
            by_name,
            duplicates,
        }
    }

    /// The values of the further entries of a name.
    pub fn duplicates(&self, name: &str) -> impl Iterator<Item = &OsStr> {
        let duplicates = self.duplicates.iter();
        duplicates
            .filter(move |(other, _)| other == name)
            .map(|(_, value)| value.as_os_str())
    }

    /// The value of a name, which can be empty.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let position = self
            .by_name
            .partition_point(|&at| self.entries[at].0.as_bytes() < name.as_bytes());
        let &at = self.by_name.get(position)?;
        let (found, value) = &self.entries[at];
        (found == name).then_some(value)
    }

    /// The value of a name as text; `None` if it is unset, empty or not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)
            .and_then(OsStr::to_str)
            .filter(|value| !value.is_empty())
    }

    /// All entries, in their order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The same environment with some names set anew and others removed. All other entries keep their order. Both
    /// lists must be sorted by name.
    pub fn with(mut self, set: &[(&str, OsString)], removed: &[String]) -> Self {
        if set.is_empty() && removed.is_empty() {
            return self;
        }
        let is_replaced = |name: &str| {
            set.binary_search_by_key(&name, |(other, _)| other).is_ok()
                || removed
                    .binary_search_by(|other| other.as_str().cmp(name))
                    .is_ok()
        };
        self.entries
            .retain(|(name, _)| !name.to_str().is_some_and(is_replaced));
        let set = set.iter();
        self.entries
            .extend(set.map(|(name, value)| (OsString::from(name), value.clone())));
        Self {
            duplicates: self.duplicates,
            ..Self::from_entries(self.entries)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Environment;

    fn environment(entries: &[(&str, &str)]) -> Environment {
        Environment::from_entries(
            entries
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }

    #[test]
    fn of_several_entries_of_one_name_only_the_first_is_kept() {
        let environment =
            environment(&[("A", "first"), ("B", "x"), ("A", "second"), ("A", "third")]);
        assert_eq!(environment.get("A"), Some("first".as_ref()));
        assert_eq!(environment.get("C"), None);
        assert_eq!(environment.entries().len(), 2);
        let duplicates: Vec<_> = environment.duplicates("A").collect();
        assert_eq!(duplicates, ["second", "third"]);
    }

    #[test]
    fn an_empty_value_is_set_but_is_no_text() {
        let environment = environment(&[("A", "")]);
        assert_eq!(environment.get("A"), Some("".as_ref()));
        assert_eq!(environment.text("A"), None);
    }

    #[test]
    fn replacing_leaves_the_rest_and_its_order_alone() {
        let environment = environment(&[("Z", "1"), ("A", "2"), ("M", "3"), ("A_FILE", "f")])
            .with(&[("A", "new".into())], &["A_FILE".to_owned()]);
        let shown: Vec<String> = environment
            .entries()
            .iter()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect();
        assert_eq!(shown, ["Z=1", "M=3", "A=new"]);
        assert_eq!(environment.get("A"), Some("new".as_ref()));
    }
}
