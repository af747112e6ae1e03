//! Amazon ECS (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/taskdef-envfiles.html>).

use super::fix::{Bring, Fix, Wanted, json};
use super::{Place, Platform};

pub static ECS: Platform = Platform {
    code: "ecs",
    name: "ECS",
    marks: "ECS_CONTAINER_METADATA_URI_V4",
    parts: "",
    injected: "ECS_* AWS_EXECUTION_* AWS_CONTAINER_*",
    elsewhere: "On ECS variables belong to one container of one task definition: these are probably in another one, or in an older revision.",
    bring: &[Bring {
        title: "bring the values that exist: find the task definition that has these names, and repeat its entries in this container's",
        look: "aws ecs list-task-definition-families --status ACTIVE",
        set: "aws ecs describe-task-definition --task-definition '<other family>' \\
    --query 'taskDefinition.containerDefinitions[].[name, environment[].name, secrets]'",
        item: "",
    }],
    shares_localhost: true,
    fix,
};

/// Lines of a task definition, because no command of the AWS CLI sets single variables.
fn fix(wanted: &[Wanted], _: &Place) -> Fix {
    let line = |each: &Wanted| {
        let (key, value) = if each.is_secret {
            ("valueFrom", "<arn of the secret>")
        } else {
            ("value", each.open_value().unwrap_or_default())
        };
        let (name, value) = (json(&each.name), json(value));
        format!("{{\"name\": {name}, \"{key}\": {value}}}")
    };
    let lines: Vec<String> = wanted.iter().map(line).collect();
    let title = "in a new revision of the task definition, under \"environment\" (\"valueFrom\" under \"secrets\") of this container";
    Fix::new(title, wanted, vec![lines.join(",\n")])
}
