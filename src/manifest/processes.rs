//! The names of the processes that one image can become, and the limits of what is only for some of them.

use super::Scope;
use super::keys::{Cursor, Keys};

/// The maximum number of processes. A check before a deployment repeats for each of them.
const MAX_PROCESSES: usize = 50;

/// The key of the root with the processes, and the key that limits something to some of them.
pub const PROCESSES: &str = "processes";

/// The names of declared processes.
#[derive(Clone)]
pub struct Processes<'a>(pub Vec<&'a str>);

impl<'a> Processes<'a> {
    /// All processes of the manifest, in their order.
    pub fn of(root: &Keys<'a>) -> Self {
        let processes = root.value(PROCESSES).filter(Cursor::is_mapping);
        let Some(processes) = processes.map(|value| value.keys("")) else {
            return Self(Vec::new());
        };
        let names: Vec<&str> = processes.entries().map(|(name, _)| name).collect();
        let message = "is empty; declare at least one process, or a `server`";
        root.fault_if(names.is_empty(), PROCESSES, message);
        let message = format_args!("has more than {MAX_PROCESSES} processes");
        root.fault_if(names.len() > MAX_PROCESSES, PROCESSES, message);
        let message = "cannot be set together with `processes`; make it one of them";
        root.fault_if(root.has("server"), "server", message);
        for (name, value) in processes.entries() {
            let is_outside =
                |other: char| other == ',' || other.is_whitespace() || other.is_control();
            if name.is_empty() || name.contains(is_outside) {
                value.fault("is not a valid name: it is empty, or contains a comma, white space or a control character");
            }
        }
        Self(names.into_iter().take(MAX_PROCESSES).collect())
    }

    /// Reads the `processes` of a variable, a step or a wait: the names of those that it is for. Empty if it is for all.
    pub fn limits(&self, keys: &mut Keys<'_>) -> Vec<String> {
        let message = "is empty, so it would be for no process; name at least one, or remove it";
        let limits = keys.read_valid(PROCESSES, |limits: &Vec<_>| !limits.is_empty(), message);
        let limits: Vec<String> = limits.unwrap_or_default();
        if limits.len() > MAX_PROCESSES {
            let message = format_args!("names more than {MAX_PROCESSES} processes");
            keys.fault(PROCESSES, message);
            return Vec::new();
        }
        let is_unknown = |name: &&String| !self.0.contains(&name.as_str());
        for name in limits.iter().filter(is_unknown) {
            let near = keys.near(name, self.0.iter().copied());
            let message = format_args!("`{name}` is not declared under processes{near}");
            keys.fault(PROCESSES, message);
        }
        limits
    }

    /// Those of the processes that something with these limits is for.
    pub fn limited_to(&self, limits: &[String]) -> Self {
        self.those(limits, true)
    }

    /// Whether something with these limits is for none of the processes.
    pub fn has_none_of(&self, limits: &[String]) -> bool {
        !limits.is_empty() && self.limited_to(limits).0.is_empty()
    }

    /// Those of the processes that nothing with these limits is for.
    pub fn without(&self, limits: &[String]) -> Self {
        self.those(limits, false)
    }

    fn those(&self, limits: &[String], are_included: bool) -> Self {
        let is_meant = |name: &&str| Scope::Process(name).includes(limits) == are_included;
        Self(self.0.iter().copied().filter(is_meant).collect())
    }
}
