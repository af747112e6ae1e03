//! `startup-guard schema`: the JSON schema of the manifest.

/// The schema, which is published in the documentation.
pub const TEXT: &str = include_str!("../../docs/required-vars.schema.json");
