//! The path of a file sink. What a template is, the sink says; here is only that it begins in a folder, and the hints.

use crate::config::suggest;
use crate::sink::file::Template;

const HOW: &str = "write `\"/var/log/forebay/{topic}.ndjson\"`";

/// Checks a path with `{topic}`, `{type}` and `{date}` as it is written, before the folder of the file goes before it.
///
/// # Errors
/// What is wrong, and what to do.
pub(super) fn check(path: &str) -> Result<(), (String, String)> {
    if let Err(error) = Template::parse(path) {
        return Err((error.to_string(), hint(path)));
    }
    let prefix = &path[..path.find('{').unwrap_or(path.len())];
    // Directly under `/` a value would choose among the folders of the system.
    if prefix.is_empty() || (prefix == "/" && path.len() > 1) {
        return Err(("the path begins with a value of the event".into(), HOW.into()));
    }
    if path.chars().any(char::is_control) {
        return Err(("the path has a line break or control character".into(), HOW.into()));
    }
    Ok(())
}

/// The placeholder that was meant, or else how a path is written.
fn hint(path: &str) -> String {
    let names = path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
    let known = ["topic", "type", "date"];
    let wrong = names.filter(|name| !known.contains(name)).find_map(|name| suggest::nearest(name, known));
    wrong.map_or_else(|| HOW.to_owned(), |near| format!("did you mean `{{{near}}}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let good = [
            "/var/log/forebay/{topic}.ndjson",
            "/var/log/forebay/{topic}/{type}/{date}.ndjson",
            "/var/log/all.ndjson",
            "all.ndjson",
            "logs/{date}.ndjson",
            "../logs/{date}.ndjson",
            "./{topic}",
            "events-{topic}.ndjson",
            "/events-{topic}.ndjson",
        ];
        for path in good {
            assert_eq!(check(path), Ok(()), "{path}");
        }
        let bad = [
            ("", "names no file", "write"),
            ("/var/log/", "names no file", "write"),
            ("{topic}", "begins with a value", "write"),
            ("/{topic}/a", "begins with a value", "write"),
            ("/a\n", "control character", "write"),
            ("/var/{topic}/../{type}", "`..`", "write"),
            ("/var/{topics}", "`{topics}`", "did you mean `{topic}`?"),
            ("/var/{}", "`{}`", "write"),
            ("/var/{topic", "without its", "write"),
        ];
        for (path, want, help) in bad {
            let (message, hint) = check(path).expect_err(path);
            assert!(message.contains(want) && hint.starts_with(help), "{path}: {message}; {hint}");
        }
    }
}
