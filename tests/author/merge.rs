//! Merge keys in the manifest have the meaning that they have in ruamel.yaml.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::Folder;

#[test]
fn merge_keys_mean_the_same_as_in_another_reader() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing: run `make venv` first",
        python.display()
    );
    let folder = Folder::new();
    let output = Command::new(python)
        .arg(root.join("tests/author/merge.py"))
        .args([env!("CARGO_BIN_EXE_startup-guard"), "1", "150"])
        .arg(folder.path())
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{output:?}");
    let judged: Value = serde_json::from_slice(&output.stdout).expect("the script prints JSON");
    assert_eq!(judged["wrong"], Value::Array(Vec::new()));
    assert!(judged["merged"].as_u64() > Some(80), "{judged}");
    assert!(judged["rejected"].as_u64() > Some(5), "{judged}");
}
