//! What the README and the container's build say, held to the tree.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("`{name}`: {error}"))
}

/// The blocks of a document in one language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let found: Vec<_> =
        text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect();
    assert!(!found.is_empty(), "no block of `{language}`");
    found
}

#[test]
fn every_shell_block_is_a_shell_script() {
    for block in blocks(&read("README.md"), "sh") {
        let output = Command::new("bash").args(["-n", "-c", &block]).output().expect("a shell");
        assert!(output.status.success(), "{block}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The `sh` blocks begin with the two that `.ci/smoke` runs, and the one that `.ci/run` goes by.
#[test]
fn the_two_commands_are_there() {
    let blocks = blocks(&read("README.md"), "sh");
    assert!(blocks[0].starts_with("cargo run --release"));
    assert!(blocks[1].starts_with("curl "));
    let words = blocks[2].trim().strip_prefix(".ci/tools && ").expect("tools first");
    let run = read(".ci/run");
    let steps: Vec<_> = run.lines().filter_map(|line| line.strip_prefix("step ")).collect();
    assert!(steps.contains(&words) && steps.contains(&".ci/tools"), "{steps:?}");
}

/// Links to files and headings go somewhere.
#[test]
fn every_link_of_the_documents_goes_somewhere() {
    for document in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        let text = read(document);
        let anchors: BTreeSet<String> = text
            .lines()
            .filter(|line| line.starts_with('#'))
            .map(|line| line.trim_start_matches('#').trim())
            .map(|title| title.to_lowercase().replace(' ', "-").replace([',', '\'', '`'], ""))
            .collect();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("http")) {
            match link.strip_prefix('#') {
                Some(anchor) => assert!(anchors.contains(anchor), "{document}: no heading for `#{anchor}`"),
                None => assert!(root().join(link).exists(), "{document}: no file `{link}`"),
            }
        }
    }
}

#[test]
fn the_readme_names_every_validator() {
    let text = read("README.md");
    let section = text.split("## Validators").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("a section");
    let named: Vec<_> =
        section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).skip(1).collect();
    assert_eq!(named, forebay::validate::kinds());
}

/// Every metric the README names is one.
#[test]
fn the_readme_names_metrics_there_are() {
    let seconds = || prometheus_client::metrics::histogram::Histogram::new([1.0]);
    let metrics = forebay::metrics::Metrics::new(&seconds(), &seconds(), "always");
    metrics.topic("t").verdict("s", "ok");
    let _ = metrics.subscribers.of("s");
    let shown = metrics.render();
    let text = read("README.md") + &read("docs/operations.md");
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let named: BTreeSet<_> = text
        .split("forebay_")
        .skip(1)
        .map(|rest| format!("forebay_{}", rest.split(|c| !is_name(c)).next().unwrap_or_default()))
        .collect();
    assert!(named.len() >= 6, "{named:?}");
    for name in named {
        let series = shown.lines().any(|line| line.split(['{', ' ']).next() == Some(&name));
        let kind =
            shown.lines().any(|line| line.strip_prefix("# TYPE ").and_then(|l| l.split(' ').next()) == Some(&name));
        assert!(series || kind, "there is no metric `{name}`");
    }
}

/// The configurations in the README are good ones. (Their secrets are not there to be read, which is all that is wrong.)
#[test]
fn the_readme_configures_what_there_is() {
    for block in blocks(&read("README.md"), "toml") {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("forebay.toml");
        let secrets = folder.path().join("secrets");
        fs::create_dir(&secrets).expect("a folder");
        fs::write(secrets.join("github"), "long enough to be one").expect("a secret");
        fs::write(&file, block).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_forebay"));
        let output = command.arg("-c").arg(&file).arg("check").env("BITBUCKET_SECRET", "long enough to be one");
        let output = output.output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_container_is_built_of_what_there_is() {
    let dockerfile = read("Dockerfile");
    let ignored = read(".dockerignore");
    let sent: Vec<_> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(ignored.lines().any(|line| line == "*"), "nothing is sent but what is named");
    let mut copied = 0;
    for line in dockerfile.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        if line.starts_with("--from=") {
            continue;
        }
        let mut words: Vec<_> = line.split(' ').collect();
        words.pop();
        for source in words {
            copied += 1;
            assert!(root().join(source).exists(), "`{source}` is not there");
            assert!(sent.contains(&source), "`{source}` is not sent to the build");
        }
    }
    assert!(copied >= 4);
    for source in sent {
        assert!(root().join(source).exists(), "`{source}` is sent and not there");
    }
    // What the manifest names has to be copied as well, or cargo refuses it.
    let manifest = read("Cargo.toml");
    let paths = manifest.lines().filter_map(|line| line.strip_prefix("path = \"").or(line.strip_prefix("build = \"")));
    for path in paths.map(|path| path.trim_end_matches('"')) {
        let first = Path::new(path).iter().next().and_then(|name| name.to_str()).expect("a path");
        assert!(dockerfile.contains(&format!("COPY {first} {first}\n")), "`{path}` is not copied");
    }
}

#[test]
fn the_container_holds_no_shell_and_no_root() {
    let dockerfile = read("Dockerfile");
    let last = dockerfile.rsplit("\nFROM ").next().expect("a stage");
    assert!(last.starts_with("scratch\n"));
    let says = |name: &str| {
        last.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .unwrap_or_else(|| panic!("no `{name}`"))
    };
    let (user, group) = says("USER").split_once(':').expect("user and group");
    assert!(user.parse::<u32>().is_ok_and(|id| id > 0) && group.parse::<u32>().is_ok_and(|id| id > 0));
    assert!(dockerfile.contains(&format!("-o {user} -g {group} /image/var/lib/forebay")), "its volume is its own");
    assert_eq!(says("VOLUME"), r#"["/var/lib/forebay"]"#);
    assert_eq!(says("STOPSIGNAL"), "SIGTERM");
    let bundle = says("ENV").strip_prefix("SSL_CERT_FILE=").expect("where the authorities are");
    assert!(dockerfile.contains(&format!("/image{bundle}")));
    assert!(!last.contains("\nRUN ") && !last.contains("CMD serve"), "nothing in there could run a shell form");
    // The version of Rust the build has is one that the crate can be built with.
    let tag = dockerfile.lines().find_map(|line| line.strip_prefix("FROM rust:")).expect("a build stage");
    let minor =
        |version: &str| version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok()).expect("a version");
    let manifest = read("Cargo.toml");
    let needed = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")).expect("a version");
    let tag = tag.split('-').next().expect("a version");
    assert!(minor(tag) >= minor(needed.trim_end_matches('"')));
}
