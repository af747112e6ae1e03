//! Heroku (<https://devcenter.heroku.com/articles/dyno-metadata>).

use super::place::{Fix, Place, Platform, Wanted};
use super::shell::{asking, command, quoted};

pub static HEROKU: Platform = Platform {
    code: "heroku",
    name: "Heroku",
    marks: "DYNO",
    parts: &[("app", "HEROKU_APP_NAME"), ("dyno", "DYNO")],
    more_parts: &[],
    injected: "HEROKU_* DYNO SOURCE_VERSION STACK",
    elsewhere: "On Heroku config vars belong to one app: these were probably set on another one.",
    shares_localhost: false,
    fix,
};

fn fix(wanted: &[Wanted], place: &Place) -> Fix {
    let app = quoted(&place.detail_or_gap("app"));
    let set = command(
        &format!("heroku config:set --app {app}"),
        wanted.iter().map(Wanted::word),
    );
    Fix::new("with the Heroku CLI", wanted, vec![asking(&set, "")])
}
