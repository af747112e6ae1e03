//! Heroku (<https://devcenter.heroku.com/articles/dyno-metadata>).

use super::Platform;
use super::fix::{Bring, set_on_app};

pub static HEROKU: Platform = Platform {
    code: "heroku",
    name: "Heroku",
    marks: "DYNO",
    parts: &[("app", "HEROKU_APP_NAME"), ("dyno", "DYNO")],
    more_parts: &[],
    injected: "HEROKU_* DYNO SOURCE_VERSION STACK",
    elsewhere: "On Heroku config vars belong to one app: these are probably set on another app.",
    bring: &[Bring {
        title: "bring the values that exist: find the app that has them, and copy them from it",
        look: "heroku config --shell --app '<other app>' | grep -oE '^[A-Z][A-Z0-9_]*='",
        set: "heroku config:set --app {app} {} >/dev/null",
        item: "NAME=\"$(heroku config:get NAME --app '<other app>')\"",
    }],
    shares_localhost: false,
    fix: |wanted, place| {
        let mut fix = set_on_app("with the Heroku CLI", "heroku config:set", wanted, place);
        // The command prints the values that it sets.
        fix.commands[0].push_str(" >/dev/null");
        fix
    },
};
