//! Heroku (<https://devcenter.heroku.com/articles/dyno-metadata>).

use super::Platform;
use super::fix::set_on_app;

pub static HEROKU: Platform = Platform {
    code: "heroku",
    name: "Heroku",
    marks: "DYNO",
    parts: &[("app", "HEROKU_APP_NAME"), ("dyno", "DYNO")],
    more_parts: &[],
    injected: "HEROKU_* DYNO SOURCE_VERSION STACK",
    elsewhere: "On Heroku config vars belong to one app: these are probably set on another app.",
    shares_localhost: false,
    fix: |wanted, place| set_on_app("with the Heroku CLI", "heroku config:set", wanted, place),
};
