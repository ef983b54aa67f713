//! No secret of a file is shown, wherever the file around it is broken.

use forebay::config::Level;

use crate::surroundings::Place;

/// Secrets wherever one can stand. `@` stands for the secret itself.
const FILE: &str = r#"
[admin]
token = "@"
[topics.github]
validator = { type = "github", secret = "@" }
[topics.gitlab]
validator = { type = "gitlab", secrets = [
  "@",
  { id = "b", file = "good" }, '@',
] }
[subscribers.ci]
topics = ["*"]
[subscribers.ci.sink]
type = "webhook"
url = "https://a.example/hooks?key=@"
headers = { x-a = "@", "authorization" = "Bearer @", x-b = """
@
@""" }
sign.secret = "@"
"#;

const CANARY: &str = "canary4711";

fn show(text: &str, folder: &Place) -> String {
    match folder.read(text) {
        Ok(loaded) => forebay::command::check::text(&loaded, false),
        Err(report) => {
            format!("{}{report:?}", report.render(false))
        }
    }
}

#[test]
fn the_file_is_as_good_as_it_should_be() {
    let folder = Place::new();
    let text = FILE.replace('@', CANARY);
    assert!(text.matches(CANARY).count() >= 8);
    let report = folder.read(&text).expect_err("broken on purpose");
    // The header of two lines, and the signing secret that is no base64.
    assert_eq!(report.count(Level::Error), 2, "{report}");
    assert!(!show(&text, &folder).contains(CANARY));
}

/// Every place of the file, and every sign that could be missing or too much there.
#[test]
fn one_slip_of_the_hand_shows_no_secret() {
    let folder = Place::new();
    let mut broken = 0;
    for (at, c) in FILE.char_indices() {
        let (before, after) = FILE.split_at(at);
        let without = if c == '@' { after } else { &after[c.len_utf8()..] };
        let mut texts = vec![format!("{before}{without}"), before.to_owned()];
        texts.extend("\"'[]{}=,.#\n\\ xé1".chars().map(|sign| format!("{before}{sign}{after}")));
        for text in texts {
            let text = text.replace('@', CANARY);
            let shown = show(&text, &folder);
            assert!(!shown.contains("canary"), "{text}\n----\n{shown}");
            broken += usize::from(shown.contains("error: "));
        }
    }
    assert!(broken > 1000, "only {broken} files were broken");
}
