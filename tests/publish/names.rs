//! The names under which the guard is published have one spelling, and every page that installs it uses them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use regex_lite::Regex;

use crate::{Test, root};

pub const TESTS: &[Test] = &[
    (
        "the_readme_has_one_line_for_each_way_to_install_the_guard",
        &[],
        install_lines,
    ),
    (
        "the_repository_the_image_and_the_packages_have_one_name_each",
        &[],
        one_spelling,
    ),
    (
        "every_file_that_names_a_version_names_the_one_of_the_package",
        &[],
        one_version,
    ),
    (
        "only_the_readme_says_that_nothing_is_published_yet",
        &[],
        not_published,
    ),
    (
        "other_names_other_versions_and_other_claims_are_found",
        &[],
        mistakes_are_found,
    ),
];

const NAME: &str = env!("CARGO_PKG_NAME");
const VERSION: &str = env!("CARGO_PKG_VERSION");
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// The owner and the name of the repository, which are also those of the image.
fn path() -> &'static str {
    let path = REPOSITORY.strip_prefix("https://github.com/");
    path.expect("the repository is on GitHub")
}

fn text_of(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// All text files of the checkout, by their paths.
fn files() -> BTreeMap<String, String> {
    fn collect(folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).expect("a folder can be listed") {
            let path = entry.expect("an entry can be read").path();
            let name = path.file_name().unwrap_or_default();
            if path.is_symlink() || name == ".git" || name == "target" {
                continue;
            }
            if path.is_dir() {
                collect(&path, found);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let path = path.strip_prefix(root()).expect("it is in the checkout");
                found.insert(path.to_string_lossy().into_owned(), text);
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(&root(), &mut found);
    // It has the mistakes that the other tests must find.
    found.remove("tests/publish/names.rs");
    assert!(found.len() > 200, "there are {} files", found.len());
    found
}

fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is well-formed")
}

fn install_lines() {
    let readme = text_of("README.md");
    let (_, section) = readme
        .split_once("\n## Install\n")
        .expect("there is an install section");
    let (section, _) = section.split_once("\n## ").expect("others follow");
    for row in [
        format!("| pip | `pip install {NAME}` |"),
        format!(
            "| Docker | `COPY --from=ghcr.io/{}:{VERSION} /startup-guard /usr/local/bin/` |",
            path()
        ),
        format!(
            "| Railway | `{NAME}=={VERSION}` in `requirements.txt`, and the start command `startup-guard run` |"
        ),
        // A table needs a backslash before the pipe, which no reader sees.
        format!("| curl | `curl -fsSL {REPOSITORY}/releases/latest/download/install.sh \\| sh` |"),
        format!(
            "| cargo | `cargo binstall {NAME}`, or `cargo install {NAME} --locked` to build it for this machine |"
        ),
    ] {
        assert!(section.contains(&row), "the README does not have {row}");
    }
    // Each line can only work if what it installs is made under this name.
    for (file, line) in [
        ("pyproject.toml", format!("name = \"{NAME}\"")),
        (
            "Dockerfile",
            "COPY --from=build /startup-guard /startup-guard".into(),
        ),
        (
            ".github/workflows/release.yml",
            "IMAGE: ghcr.io/${{ github.repository }}".into(),
        ),
        (
            "install.sh",
            format!("{REPOSITORY}/releases/latest/download/install.sh"),
        ),
    ] {
        let text = text_of(file);
        assert!(
            text.lines().any(|each| each.contains(&line)),
            "{file} does not have {line}"
        );
    }
    let release = text_of(".github/workflows/release.yml") + &text_of(".ci/sums");
    assert!(
        release.contains("install.sh"),
        "the release does not have the file that the README downloads"
    );
}

/// The names in a text, at hosts and in lines of workflows, that are similar to those of the guard but are others.
fn other_names(text: &str) -> Vec<String> {
    let with_an_owner = pattern(
        r"(?:github\.com[/:]|githubusercontent\.com/|ghcr\.io/|uses: *)([\w.-]+/[\w.-]*[Gg]uard[\w-]*|[\w.-]*[Gg]uard[\w-]*/[\w.-]+)",
    );
    let packages =
        pattern(r"(?:pypi\.org/(?:project|p)|crates\.io/crates)/([\w.-]*[Gg]uard[\w-]*)");
    // Only some lines have such a name, and the search in all of them would take long.
    let hosts = ["github", "ghcr.io/", "uses:", "pypi.org/", "crates.io/"];
    let is_of_host = |line: &&str| hosts.iter().any(|host| line.contains(host));
    let lines = text.lines().filter(is_of_host).collect::<Vec<_>>();
    let text = lines.join("\n");
    let others = |found: Regex, name: &str| -> Vec<String> {
        let names = found.captures_iter(&text).map(|found| found[1].to_owned());
        names.filter(|each| each != name).collect()
    };
    [others(with_an_owner, path()), others(packages, NAME)].concat()
}

fn one_spelling() {
    let mut count = 0;
    for (file, text) in files() {
        assert_eq!(other_names(&text), [""; 0], "{file} names another");
        count += text.matches(path()).count();
    }
    assert!(count >= 5, "only {count} names were found");
}

/// The versions of the guard in a text that are not the package's.
fn other_versions(text: &str) -> Vec<String> {
    let versions = pattern(r"startup[-_]guard(?:==|@v?|:v?)(\d+\.\d+\.\d+)");
    let versions = versions
        .captures_iter(text)
        .map(|found| found[1].to_owned());
    versions.filter(|version| version != VERSION).collect()
}

fn one_version() {
    let mut count = 0;
    let is_of_tests = |file: &str| file.starts_with("tests/");
    let files = files().into_iter();
    for (file, text) in files.filter(|(file, _)| !is_of_tests(file)) {
        assert_eq!(other_versions(&text), [""; 0], "{file} names another");
        count += text.matches(&format!("{NAME}:{VERSION}")).count();
    }
    assert!(count >= 3, "only {count} versions were found");
}

/// How often a text says that something has not been published, in the words that come to mind.
fn claims(text: &str) -> usize {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let yet = r"\b(no|not|none|nothing|never)\b[^.]{0,60}\bpublished yet\b|\bnot yet published\b";
    let been = r"\b(no|not|nothing)\b[^.]{0,30}\bbeen published\b";
    let claims = pattern(&format!("(?i){yet}|{been}"));
    claims.find_iter(&text).count()
}

fn not_published() {
    let is_page = |(file, _): &(String, String)| Path::new(file).extension() == Some("md".as_ref());
    let pages = files().into_iter().filter(is_page);
    let claiming = pages.map(|(file, text)| (file, claims(&text)));
    let claiming: Vec<_> = claiming.filter(|(_, count)| *count > 0).collect();
    assert_eq!(claiming, [("README.md".to_owned(), 1)]);
}

fn mistakes_are_found() {
    for text in [
        "https://github.com/startup-guards/startup-guard",
        "git@github.com:startup-guard/startupguard.git",
        "https://raw.githubusercontent.com/startupguard/startup-guard/main",
        "COPY --from=ghcr.io/startup-guard/guard:0.1.0",
        "- uses: startup-guard/startup-guard-action@v0.1.0",
        "https://pypi.org/project/startupguard/",
        "https://crates.io/crates/startup_guard",
    ] {
        assert_eq!(other_names(text).len(), 1, "{text}");
    }
    for text in [
        format!("{REPOSITORY}/releases and {REPOSITORY}. More"),
        format!("ghcr.io/{}:1 and uses: {}@v1", path(), path()),
        "https://github.com/actions/checkout".to_owned(),
    ] {
        assert_eq!(other_names(&text), [""; 0], "{text}");
    }
    for text in [
        "startup-guard==9.0.0",
        "startup-guard@v9.0.0",
        "startup-guard:9.0.0",
    ] {
        assert_eq!(other_versions(text), ["9.0.0"]);
    }
    for text in [
        "No binary has been published yet.",
        "None of these\nnames is published yet.",
        "The package is not yet published.",
        "Nothing has been\npublished.",
    ] {
        assert_eq!(claims(text), 1, "{text}");
    }
    for text in [
        "It publishes nothing. The release is published.",
        "Nothing is published before all tests have passed.",
    ] {
        assert_eq!(claims(text), 0, "{text}");
    }
}
