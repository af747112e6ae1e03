//! Railway (<https://docs.railway.com/reference/variables>).

use super::fix::{Bring, Content, Fix, Wanted, filled};
use super::{Place, Platform};

const SET: &str = "railway variable set {} --service {service} --environment {environment}";

pub static RAILWAY: Platform = Platform {
    code: "railway",
    name: "Railway",
    marks: "RAILWAY_SERVICE_NAME RAILWAY_SERVICE_ID RAILWAY_PROJECT_ID RAILWAY_ENVIRONMENT_NAME",
    parts: "project=RAILWAY_PROJECT_NAME, service=RAILWAY_SERVICE_NAME, environment=RAILWAY_ENVIRONMENT_NAME; replica=RAILWAY_REPLICA_ID, region=RAILWAY_REPLICA_REGION",
    injected: "RAILWAY_* NIXPACKS_* RAILPACK_*",
    elsewhere: "On Railway variables belong to one service: these may be on another (the database's?), in another project or environment, or only staged.",
    bring: &[
        Bring {
            title: "bring the values that exist: find the service that has them, and refer to it",
            look: "railway variables --service '<other service>' --kv | grep -oE '^[A-Z][A-Z0-9_]*='",
            set: SET,
            item: "'NAME=${{<other service>.NAME}}'",
        },
        Bring {
            title: "or copy them, if each is one line; <directory> is linked to the project that has them (railway link)",
            look: "",
            set: "for name in {}
do
    (cd '<directory>' && railway variables --service '<other service>' --kv) | sed -n \"s/^$name=//p\" |
    railway variable set \"$name\" --stdin --service {service} --environment {environment}
done",
            item: "NAME",
        },
    ],
    shares_localhost: false,
    fix,
};

/// One command for all open values, and one for each secret, which reads it from standard input.
fn fix(wanted: &[Wanted], place: &Place) -> Fix {
    let (open, secrets): (Vec<&Wanted>, Vec<&Wanted>) =
        wanted.iter().partition(|each| each.open_value().is_some());
    let flags = place.filled("--stdin --service {service} --environment {environment}");
    let set_secret = |each: &&Wanted| {
        let generator = match &each.content {
            Content::Generated(generator) => format!("{generator} | "),
            _ => String::new(),
        };
        format!("{generator}railway variable set {} {flags}", each.name)
    };
    let words = open.iter().map(|each| each.word()).collect();
    let commands = filled(SET, words, Some(place)).into_iter();
    let commands = commands.chain(secrets.iter().map(set_secret));
    // This note is in the title, because some interactive shells do not accept comments after a command.
    let is_asked = |each: &Wanted| matches!(each.content, Content::Asked);
    let note = if wanted.iter().any(is_asked) {
        "; end each value that you type with Ctrl-D"
    } else {
        ""
    };
    let project = place.detail_or_gap("project");
    let project = project.escape_debug();
    let title = format!("in a directory linked to project \"{project}\" (railway link){note}");
    Fix::new(title, wanted, commands.collect())
}
