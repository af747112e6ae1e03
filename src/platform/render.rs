//! Render (<https://render.com/docs/environment-variables>).

use super::fix::{Bring, Content, Fix, Wanted, json};
use super::{Place, Platform};

pub static RENDER: Platform = Platform {
    code: "render",
    name: "Render",
    marks: "RENDER",
    parts: "service=RENDER_SERVICE_NAME; replica=RENDER_INSTANCE_ID",
    injected: "RENDER RENDER_* IS_PULL_REQUEST",
    elsewhere: "On Render variables belong to one service, or to an environment group that is linked to it: these are probably set on another service, or their group is not linked.",
    bring: &[Bring {
        title: "bring the values that exist: link the environment group that has them in the dashboard, or refer to a service in render.yaml",
        look: "",
        set: "envVars:{}",
        item: "\n  - {key: NAME, fromService: {name: <other service>, type: web, envVarKey: NAME}}",
    }],
    shares_localhost: false,
    fix,
};

/// Lines of the blueprint `render.yaml`, because Render's CLI cannot set variables.
fn fix(wanted: &[Wanted], place: &Place) -> Fix {
    let mut lines = vec!["envVars:".to_owned()];
    lines.extend(wanted.iter().map(|each| {
        let value = match &each.content {
            // Render generates 32 random bytes in base64. Another value must be entered in the dashboard.
            Content::Generated(command) if command.ends_with("-base64 32") => {
                "generateValue: true".to_owned()
            }
            Content::Known(text) => format!("value: {}", json(text)),
            _ => "sync: false".to_owned(),
        };
        format!("  - {{key: {}, {value}}}", key(&each.name))
    }));
    let title = format!(
        "in the dashboard, service \"{}\", Environment; or in render.yaml under that service",
        place.detail_or_gap("service").escape_debug()
    );
    Fix::new(title, wanted, vec![lines.join("\n")])
}

/// The name as a YAML key. A name that YAML parses as another type, such as `NO`, is in quotes.
fn key(name: &str) -> String {
    let mut words = "y n yes no on off true false null".split(' ');
    let is_word = words.any(|word| word.eq_ignore_ascii_case(name));
    if is_word { json(name) } else { name.to_owned() }
}
