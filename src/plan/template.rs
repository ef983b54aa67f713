//! The path of a file sink: what may stand in it, so that no value of an event leads out of its folder.

/// The values that may stand in braces.
const FIELDS: [&str; 3] = ["topic", "type", "date"];

/// Checks a path with `{topic}`, `{type}` and `{date}`.
///
/// # Errors
/// What is wrong, and what to do.
pub(super) fn check(path: &str) -> Result<(), (String, String)> {
    let wrong = |message: &str, hint: &str| Err((message.to_owned(), hint.to_owned()));
    if path.is_empty() || path.chars().any(char::is_control) {
        return wrong("this is not a path", "write `\"/var/log/forebay/{topic}.ndjson\"`");
    }
    if path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..") {
        return wrong("the path names a folder", "add the name of a file: `{topic}.ndjson`");
    }
    let mut rest = path;
    while let Some(at) = rest.find(['{', '}']) {
        let field = rest[at..].strip_prefix('{').and_then(|after| after.split_once('}'));
        let Some((field, after)) = field else {
            return wrong("a brace has no partner", "braces stand around `{topic}`, `{type}` and `{date}` only");
        };
        if !FIELDS.contains(&field) {
            let hint = crate::config::suggest::nearest(field, FIELDS).map_or_else(
                || "there are `{topic}`, `{type}`, `{date}`".to_owned(),
                |near| format!("did you mean `{{{near}}}`?"),
            );
            return Err((format!("`{{{field}}}` is not known in a path"), hint));
        }
        rest = after;
    }
    let Some(first) = path.find('{') else { return Ok(()) };
    let prefix = &path[..first];
    let folder = prefix.rfind('/').map_or("", |at| &prefix[..at]);
    if folder.trim_matches(['/', '.']).is_empty() && !(folder.starts_with('.') || prefix.len() > folder.len() + 1) {
        return wrong(
            "the path begins with a value of the event",
            "begin with a folder: `\"/var/log/forebay/{topic}.ndjson\"`",
        );
    }
    if path[first..].split('/').any(|segment| segment == "..") {
        return wrong("`..` cannot follow a value of the event", "write the folder out");
    }
    Ok(())
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
        ];
        for path in good {
            assert_eq!(check(path), Ok(()), "{path}");
        }
        let bad = [
            ("", "not a path"),
            ("/a/\n", "not a path"),
            ("/var/log/", "names a folder"),
            ("/var/log/..", "names a folder"),
            ("{topic}", "begins with a value"),
            ("/{topic}", "begins with a value"),
            ("/{topic}/a", "begins with a value"),
            ("/var/{topic}/../{type}", "`..`"),
            ("/var/{topics}", "`{topics}`"),
            ("/var/{}", "`{}`"),
            ("/var/{topic", "no partner"),
            ("/var/topic}", "no partner"),
            ("/var/{{topic}}", "`{{topic}`"),
        ];
        for (path, want) in bad {
            let (message, hint) = check(path).expect_err(path);
            assert!(message.contains(want), "{path}: {message}");
            assert!(!hint.is_empty());
        }
    }
}
