//! Outside a platform: lines for an env file, which compose, docker and a shell read alike.

use super::{Content, Fix, Wanted, names, shell};

pub fn fix(wanted: &[Wanted], only_file: Option<&str>) -> Fix {
    let file = only_file.filter(|name| *name != "-").unwrap_or(".env");
    let mut lines = vec![format!("cat >> {} <<EOF", shell::quoted(file))];
    lines.extend(wanted.iter().map(line));
    lines.push("EOF".to_owned());
    let title = if only_file.is_some() {
        format!("add to {}", file.escape_debug())
    } else {
        format!(
            "write {file}, and name it as env_file in compose, with --env-file for docker run or check"
        )
    };
    Fix {
        title,
        variables: names(wanted),
        commands: vec![lines.join("\n")],
    }
}

/// A line within a here-document.
pub fn line(wanted: &Wanted) -> String {
    let value = match &wanted.content {
        Content::Generated(generator) => format!("$({generator})"),
        Content::Asked => shell::asked(&wanted.name),
        _ => shell::literal(&wanted.open_value().unwrap_or_default()),
    };
    format!("{}={value}", wanted.name)
}
