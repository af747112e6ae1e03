//! Reports and tables as text for people and JSON for machines. Data in, a text out.

pub mod exit_codes;
pub mod github;
pub mod json;
pub mod text;

use crate::diagnosis::Diagnosis;
use crate::platform::Place;
use crate::report::Report;

/// All that there is to show of a check.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The manifest's name for the service.
    pub service: Option<&'a str>,
    pub place: Option<&'a Place>,
    pub report: &'a Report,
    pub diagnosis: &'a Diagnosis,
}
