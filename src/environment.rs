//! The process's environment and arguments, read once into plain values. Nothing else of ours asks the
//! operating system for them, so everything below can be tested with values made up on the spot.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the one file that reads the process's environment"
)]

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// An environment: names and values in the order they came, whatever their bytes. No name is in it twice.
#[derive(Clone, Default)]
pub struct Environment {
    entries: Vec<Entry>,
    /// Positions in `entries`, sorted by name.
    by_name: Vec<u32>,
    /// Entries of names that came before. `execve` admits them, and programs differ in which one they use:
    /// `getenv` takes the first, dash the last. So only the first is passed on.
    duplicates: Vec<Entry>,
}

/// A name and its value.
type Entry = (OsString, OsString);

/// The arguments of this process, without the program's own name.
pub fn arguments() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}

/// Whether the tests are to run with their full counts.
#[cfg(test)]
pub fn is_soak() -> bool {
    std::env::var_os("STARTUP_GUARD_SOAK").is_some_and(|value| value == "1")
}

/// Where tests may put files.
#[cfg(test)]
pub fn temporary_folder() -> std::path::PathBuf {
    std::env::temp_dir()
}

impl Environment {
    /// The environment that this process was started with.
    pub fn snapshot() -> Self {
        Self::from_entries(std::env::vars_os().collect())
    }

    /// An environment of these entries, in this order. Of several of one name the first counts.
    pub fn from_entries(entries: Vec<Entry>) -> Self {
        let count = u32::try_from(entries.len()).expect("the kernel admits far fewer variables");
        let name = |at: u32| &entries[at as usize].0;
        let mut by_name: Vec<u32> = (0..count).collect();
        // Stable: those of one name stay in their order.
        by_name.sort_by(|&a, &b| name(a).cmp(name(b)));
        let pairs = by_name.windows(2);
        let mut repeated: Vec<u32> = pairs
            .filter(|pair| name(pair[0]) == name(pair[1]))
            .map(|pair| pair[1])
            .collect();
        if repeated.is_empty() {
            return Self {
                entries,
                by_name,
                duplicates: Vec::new(),
            };
        }
        repeated.sort_unstable();
        let (repeated, first): (Vec<_>, Vec<_>) = (0..count)
            .zip(entries)
            .partition(|(at, _)| repeated.binary_search(at).is_ok());
        let entries_of = |positions: Vec<(u32, Entry)>| -> Vec<Entry> {
            positions.into_iter().map(|(_, entry)| entry).collect()
        };
        Self {
            duplicates: entries_of(repeated),
            ..Self::from_entries(entries_of(first))
        }
    }

    /// The values that a name had besides the one that counts.
    pub fn duplicates(&self, name: &str) -> impl Iterator<Item = &OsStr> {
        let duplicates = self.duplicates.iter();
        duplicates
            .filter(move |(other, _)| other == name)
            .map(|(_, value)| value.as_os_str())
    }

    /// The value of a name, set or empty.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let position = self
            .by_name
            .partition_point(|&at| self.entries[at as usize].0.as_bytes() < name.as_bytes());
        let &at = self.by_name.get(position)?;
        let (found, value) = &self.entries[at as usize];
        (found == name).then_some(value)
    }

    /// The value of a name as text; nothing when it is unset, empty or not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)
            .and_then(OsStr::to_str)
            .filter(|value| !value.is_empty())
    }

    /// All entries in the order they came.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The same environment with these names set anew and those taken out; everything else, and the
    /// order, stays as it is. Both lists are sorted by name.
    pub fn with(self, set: &[(&str, OsString)], removed: &[String]) -> Self {
        if set.is_empty() && removed.is_empty() {
            return self;
        }
        let is_replaced = |name: &OsStr| {
            name.to_str().is_some_and(|name| {
                set.binary_search_by(|(other, _)| (*other).cmp(name))
                    .is_ok()
                    || removed
                        .binary_search_by(|other| other.as_str().cmp(name))
                        .is_ok()
            })
        };
        let mut entries = self.entries;
        entries.retain(|(name, _)| !is_replaced(name));
        entries.extend(
            set.iter()
                .map(|(name, value)| (OsString::from(name), value.clone())),
        );
        Self {
            duplicates: self.duplicates,
            ..Self::from_entries(entries)
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
