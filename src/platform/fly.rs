//! Fly.io (<https://fly.io/docs/machines/runtime-environment/>).

use super::Platform;
use super::fix::{Bring, set_at_once};

/// The command that sets variables; not `fly secrets import`, which removes quotes and comments from the lines that it
/// reads.
const SET: &str = "fly secrets set --app {app} {}";

pub static FLY: Platform = Platform {
    code: "fly",
    name: "Fly",
    marks: "FLY_APP_NAME",
    parts: "app=FLY_APP_NAME, region=FLY_REGION, process group=FLY_PROCESS_GROUP; replica=FLY_MACHINE_ID",
    injected: "FLY_* PRIMARY_REGION RELEASE_COMMAND",
    elsewhere: "On Fly secrets belong to one app: these are probably set on another app, or are staged and not deployed yet.",
    bring: &[Bring {
        title: "bring the values that exist: find the app that has them, and copy them from its machine",
        look: "fly secrets list --app '<other app>'",
        set: SET,
        item: "NAME=\"$(fly ssh console --quiet --app '<other app>' --command 'printenv NAME')\"",
    }],
    shares_localhost: false,
    fix: |wanted, place| set_at_once("with flyctl", SET, wanted, place),
};
