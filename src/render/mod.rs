//! Reports as text for people, as JSON, and as annotations of a GitHub workflow: data in, a text out.

pub mod github;
pub mod json;
pub mod text;

use crate::diagnosis::{Cause, Diagnosis};
use crate::platform::Place;
use crate::report::Report;

/// Everything that a report shows.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The service's name in the manifest.
    pub service: Option<&'a str>,
    pub place: Option<&'a Place>,
    pub report: &'a Report,
    pub diagnosis: &'a Diagnosis,
}

fn label(cause: &Cause) -> &'static str {
    if cause.is_certain {
        "Cause"
    } else {
        "Likely cause"
    }
}
