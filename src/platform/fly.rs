//! Fly.io (<https://fly.io/docs/machines/runtime-environment/>).

use super::place::{Fix, Place, Platform, Wanted};
use super::shell::{asking, command, quoted};

pub static FLY: Platform = Platform {
    code: "fly",
    name: "Fly",
    marks: "FLY_APP_NAME",
    parts: &[
        ("app", "FLY_APP_NAME"),
        ("region", "FLY_REGION"),
        ("process group", "FLY_PROCESS_GROUP"),
    ],
    more_parts: &[("replica", "FLY_MACHINE_ID")],
    injected: "FLY_* PRIMARY_REGION RELEASE_COMMAND",
    elsewhere: "On Fly secrets belong to one app: these were probably set on another app, or are staged and not deployed yet.",
    shares_localhost: false,
    fix,
};

/// Not `fly secrets import`: it removes quotes and comments from the lines that it reads.
fn fix(wanted: &[Wanted], place: &Place) -> Fix {
    let app = quoted(&place.detail_or_gap("app"));
    let set = command(
        &format!("fly secrets set --app {app}"),
        wanted.iter().map(Wanted::word),
    );
    Fix::new("with flyctl", wanted, vec![asking(&set, "")])
}
