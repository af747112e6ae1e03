//! Heroku (<https://devcenter.heroku.com/articles/dyno-metadata>).

use super::Platform;
use super::fix::{Bring, set_at_once};

/// The command that sets variables without printing their values.
const SET: &str = "heroku config:set --app {app} {} >/dev/null";

pub static HEROKU: Platform = Platform {
    code: "heroku",
    name: "Heroku",
    marks: "DYNO",
    parts: "app=HEROKU_APP_NAME, dyno=DYNO",
    injected: "HEROKU_* DYNO SOURCE_VERSION STACK",
    elsewhere: "On Heroku config vars belong to one app: these are probably set on another app.",
    bring: &[Bring {
        title: "bring the values that exist: find the app that has them, and copy them from it",
        look: "heroku config --shell --app '<other app>' | grep -oE '^[A-Z][A-Z0-9_]*='",
        set: SET,
        item: "NAME=\"$(heroku config:get NAME --app '<other app>')\"",
    }],
    shares_localhost: false,
    fix: |wanted, place| set_at_once("with the Heroku CLI", SET, wanted, place),
};
