//! Puts the commit into the version: from `$FOREBAY_COMMIT` where there is no repository, as in a container's build.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=FOREBAY_COMMIT");
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|text| !text.is_empty())
    };
    if let Some(head) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={head}");
    }
    println!("cargo::rerun-if-changed=src/build.rs");
    let commit = std::env::var("FOREBAY_COMMIT").ok().filter(|text| !text.is_empty());
    let commit = commit.or_else(|| git(&["rev-parse", "--short=12", "HEAD"])).unwrap_or_else(|| "unknown".into());
    println!("cargo::rustc-env=FOREBAY_COMMIT={commit}");
}
