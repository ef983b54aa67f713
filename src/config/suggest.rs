//! "Did you mean ...?": the known word nearest to a mistyped one.

/// The candidate most like `word`, if one is like it at all.
#[must_use]
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let lower = word.to_lowercase();
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    candidates
        .into_iter()
        .map(|candidate| {
            let alike = if plain(candidate) == plain(word) {
                // The same but for case and dashes: as good as equal, whatever the edit distance says.
                1.0
            } else {
                strsim::normalized_damerau_levenshtein(&lower, &candidate.to_lowercase())
            };
            (alike, candidate)
        })
        .filter(|(alike, _)| *alike >= 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// A hint that names the nearest candidate, or else all of them.
#[must_use]
pub fn hint(word: &str, candidates: &[&str]) -> Option<String> {
    if let Some(nearest) = nearest(word, candidates.iter().copied()) {
        return Some(format!("did you mean `{nearest}`?"));
    }
    match candidates {
        [] => None,
        [only] => Some(format!("there is only `{only}`")),
        many => Some(format!("there are {}", listed(many))),
    }
}

/// The words in backticks with commas between them.
#[must_use]
pub fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word() {
        let known = ["listen", "base_path", "max_body", "max_body_memory", "github", "bitbucket-cloud"];
        let cases = [
            ("lisen", Some("listen")),
            ("maxbody", Some("max_body")),
            ("max-body", Some("max_body")),
            ("GitHub", Some("github")),
            ("gihtub", Some("github")),
            ("bitbucketCloud", Some("bitbucket-cloud")),
            ("colour", None),
            ("", None),
        ];
        for (word, want) in cases {
            assert_eq!(nearest(word, known), want, "{word}");
        }
        assert_eq!(hint("colour", &["a", "b"]).as_deref(), Some("there are `a`, `b`"));
        assert_eq!(hint("lisen", &known).as_deref(), Some("did you mean `listen`?"));
        assert_eq!(hint("x", &[]), None);
    }
}
