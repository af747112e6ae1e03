//! The process's environment and arguments, read once into plain values. No other file reads them, so tests can pass
//! any environment to the other modules.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the one file that reads the process's environment"
)]

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};

#[cfg(test)]
pub use tests::{is_soak, temporary_folder};

/// An ordered list of names and values. No name occurs twice. Values need not be UTF-8.
#[derive(Clone, Default)]
pub struct Environment {
    entries: Vec<Entry>,
    /// The positions of the names in `entries`.
    positions: HashMap<OsString, usize>,
    /// Later entries of names that are in `entries`. `execve` permits duplicate names, and programs disagree about
    /// which entry applies: `getenv` returns the first, dash uses the last. So only the first is passed on.
    duplicates: Vec<Entry>,
}

/// A name and its value.
type Entry = (OsString, OsString);

/// The arguments of this process, without the program's own name.
pub fn arguments() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}

impl Environment {
    /// The environment that this process was started with.
    pub fn snapshot() -> Self {
        Self::from_entries(std::env::vars_os().collect())
    }

    /// Creates an environment of these entries, in this order. If a name occurs several times, its first entry applies.
    pub fn from_entries(entries: Vec<Entry>) -> Self {
        Self::default().extended(entries)
    }

    /// The environment with these entries appended. An entry whose name is there already is only a duplicate.
    pub fn extended(mut self, entries: impl IntoIterator<Item = Entry>) -> Self {
        for (name, value) in entries {
            if self.positions.contains_key(&name) {
                self.duplicates.push((name, value));
            } else {
                self.positions.insert(name.clone(), self.entries.len());
                self.entries.push((name, value));
            }
        }
        self
    }

    /// The values of the later entries of a name, which are not passed on.
    pub fn duplicates(&self, name: &str) -> impl Iterator<Item = &OsStr> {
        let duplicates = self.duplicates.iter();
        let same = duplicates.filter(move |(other, _)| other == name);
        same.map(|(_, value)| value.as_os_str())
    }

    /// The value of a name. It may be empty.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let position = *self.positions.get(OsStr::new(name))?;
        Some(&self.entries[position].1)
    }

    /// The value of a name as a string; `None` if it is unset, empty or not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        let text = self.get(name)?.to_str()?;
        (!text.is_empty()).then_some(text)
    }

    /// All entries, in their order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The environment without the names in `removed`, and with those in `set` appended in place of any earlier
    /// entries. All other entries keep their order.
    pub fn with(mut self, set: &[(&str, OsString)], removed: &[String]) -> Self {
        let set_names = set.iter().map(|(name, _)| OsStr::new(*name));
        let removed_names = removed.iter().map(OsStr::new);
        let replaced: HashSet<&OsStr> = set_names.chain(removed_names).collect();
        let is_kept = |(name, _): &Entry| !replaced.contains(name.as_os_str());
        self.entries.retain(is_kept);
        let set = set.iter();
        self.entries
            .extend(set.map(|(name, value)| (name.into(), value.clone())));
        Self {
            duplicates: self.duplicates,
            ..Self::from_entries(self.entries)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Environment;

    /// Whether property tests run their full number of cases.
    pub fn is_soak() -> bool {
        std::env::var_os("STARTUP_GUARD_SOAK").is_some_and(|value| value == "1")
    }

    /// The folder in which tests create files.
    pub fn temporary_folder() -> std::path::PathBuf {
        std::env::temp_dir()
    }

    fn environment(entries: &[(&str, &str)]) -> Environment {
        Environment::from_entries(
            entries
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }

    #[test]
    fn only_the_first_entry_of_a_name_is_kept() {
        let environment =
            environment(&[("A", "first"), ("B", "x"), ("A", "second"), ("A", "third")]);
        assert_eq!(environment.get("A"), Some("first".as_ref()));
        assert_eq!(environment.get("C"), None);
        assert_eq!(environment.entries().len(), 2);
        let duplicates: Vec<_> = environment.duplicates("A").collect();
        assert_eq!(duplicates, ["second", "third"]);
    }

    #[test]
    fn get_returns_an_empty_value_and_text_does_not() {
        let environment = environment(&[("A", "")]);
        assert_eq!(environment.get("A"), Some("".as_ref()));
        assert_eq!(environment.text("A"), None);
    }

    #[test]
    fn replacing_a_name_keeps_the_order_of_the_others() {
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
