//! The likely causes of a report, and commands that fix it.
//!
//! A cause is a claim about somebody's deployment, and a wrong claim costs more than none. So each cause has its
//! grounds: names that are set, the form of a value, or what the platform says. A cause that is only likely
//! says so. Values are read here and never shown: a cause names variables, and the service in a reference
//! `${{Service.NAME}}`.

mod facts;
mod fixes;
mod near;
mod scope;
mod values;

use serde::Serialize;

use crate::environment::Environment;
use crate::manifest::Manifest;
use crate::report::Report;

pub use crate::platform::Fix;
pub use facts::{Circumstances, EnvFileReader};
use facts::{Facts, Grounds};
pub use near::NearNames;

/// The facts allow other explanations.
const LIKELY: &str = "likely";

/// The facts allow no other explanation.
pub const CERTAIN: &str = "certain";

/// Looks for the grounds of one cause.
type Explain = for<'a> fn(&Facts<'a>) -> Option<Grounds<'a>>;

/// The causes in the order in which they are told. The name is stable: logs and reports have it.
const CAUSES: [(&str, &str, Explain); 19] = [
    ("set_elsewhere", LIKELY, scope::set_elsewhere),
    ("database_service", LIKELY, scope::database_service),
    ("renamed", CERTAIN, near::renamed),
    ("misspelled", LIKELY, near::misspelled),
    ("unresolved_reference", LIKELY, values::railway_reference),
    ("unresolved_reference", LIKELY, values::empty_reference),
    ("unresolved_reference", LIKELY, values::empty_parts),
    ("unresolved_reference", CERTAIN, values::workflow_expression),
    ("unresolved_reference", CERTAIN, values::other_reference),
    ("example_copied", LIKELY, values::example_copied),
    ("secret_file", CERTAIN, values::secret_file),
    ("quoted_for_another_reader", LIKELY, values::quoted),
    (
        "scheme_of_sqlalchemy",
        CERTAIN,
        values::scheme_of_sqlalchemy,
    ),
    (
        "unescaped_credentials",
        CERTAIN,
        values::unescaped_credentials,
    ),
    ("list_form", CERTAIN, values::list_form),
    ("copied_secret", LIKELY, values::copied_secret),
    ("local_address", LIKELY, values::local_address),
    // These two explain only what no other cause explains.
    ("sealed_or_staged", LIKELY, scope::sealed_or_staged),
    ("set_at_build", LIKELY, scope::set_at_build),
];

/// One cause of one or several findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The stable name, as it stands in logs and reports.
    #[serde(rename = "cause")]
    pub code: &'static str,
    /// [`CERTAIN`] or `LIKELY`.
    pub certainty: &'static str,
    /// The variables that it explains, in the manifest's order.
    pub variables: Vec<String>,
    /// Whole sentences: what happened, and what to do about it.
    pub text: String,
}

/// The explanation of a report.
#[derive(Clone, Debug, Default)]
pub struct Diagnosis {
    pub causes: Vec<Cause>,
    pub fixes: Vec<Fix>,
}

/// Explains a report. `environment` is what was checked, before secret files and defaults filled it.
pub fn diagnose(
    manifest: &Manifest,
    report: &Report,
    environment: &Environment,
    circumstances: Circumstances<'_>,
) -> Diagnosis {
    let mut facts = Facts::new(manifest, report, environment, circumstances);
    facts.other_names = near::other_names(&facts);
    let mut causes = Vec::new();
    for (code, certainty, explain) in CAUSES {
        let Some(Grounds { variables, text }) = explain(&facts) else {
            continue;
        };
        facts.explained.extend(&variables);
        causes.push(Cause {
            code,
            certainty,
            variables: variables.into_iter().map(str::to_owned).collect(),
            text,
        });
    }
    let fixes = fixes::fixes(&facts);
    Diagnosis { causes, fixes }
}

/// The codes of all causes, each once.
#[cfg(test)]
pub fn cause_codes() -> Vec<&'static str> {
    let mut codes = CAUSES.map(|(code, ..)| code).to_vec();
    codes.dedup();
    codes
}
