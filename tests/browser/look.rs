//! Looking: events as they arrive, one of them, topics, and what was refused; and that it is text, on any screen.

use crate::client::github_signature;
use crate::daemon::Home;
use crate::driver::Browser;
use crate::receiver::Receiver;
use crate::{SECRET, home, post, topic};

#[test]
fn an_event_is_seen_as_it_arrives_and_opened() {
    let receiver = Receiver::always(200);
    let home = home(&receiver.url());
    let daemon = home.start();
    let browser = Browser::start(&daemon.admin);
    browser.open("");
    browser.sees("Nothing has been recorded yet.");
    browser.until("the stream is open", "document.querySelector('.standing .badge')?.innerText === 'live'");

    browser.run("window.mark = 'the same page'", &[]);
    post(&daemon, "push", "first-delivery", r#"{"ref":"refs/heads/main","big":12345678901234567890}"#);
    browser.until(
        "the event is shown",
        "[...document.querySelectorAll('td')].some((td) => td.innerText === 'first-delivery')",
    );
    assert_eq!(browser.text("tbody td.name"), "github");
    assert_eq!(browser.text("tbody td.kind"), "push");
    let moment = browser.run("return document.querySelector('tbody time').title", &[]);
    assert!(moment.as_str().expect("text").contains('T'), "the exact moment: {moment}");
    assert_eq!(browser.run("return window.mark", &[]), "the same page");

    // Held back while paused, and let in afterwards.
    browser.click("button", "Pause");
    post(&daemon, "issues", "second-delivery", "{}");
    browser.sees("Resume (1 new)");
    assert!(!browser.text("table").contains("second-delivery"));
    browser.press("p");
    browser.sees("second-delivery");

    // Only what is asked for; and the address says what that is.
    browser.press("/second");
    browser.sees_no("first-delivery");
    browser.until("the address has the text", "location.hash === '#/live?q=second'");
    browser.run("document.querySelector('input[type=search]').select()", &[]);
    browser.press("first\u{E00C}");
    browser.sees("first-delivery");
    browser.sees_no("second-delivery");

    receiver.wait_for(2);
    browser.press("j\u{E007}");
    browser.sees("At the first attempt");
    assert_eq!(browser.text("h1"), "github push");
    assert_eq!(browser.text(".delivery strong"), "ci");
    assert_eq!(browser.text(".delivery .badge"), "delivered");
    browser.until("the body is readable", "document.querySelector('pre.body')?.innerText.includes('\\n  \"ref\": ')");
    assert!(browser.text("pre.body").contains("12345678901234567890"), "numbers stay as they are");
    assert!(browser.text(".headers").contains("x-github-delivery"));
    browser.click("button", "As sent");
    browser
        .until("the bytes as they came", "document.querySelector('pre.body').innerText.startsWith('{\"ref\":\"refs')");

    browser.reload();
    browser.sees("At the first attempt");
    browser.back();
    browser.until("the list is back", "location.hash === '#/live?q=first'");
    browser.sees("first-delivery");
    browser.is_clean(&[]);
}

/// Whoever knows the secret of a topic writes type, delivery id, headers and body.
#[test]
fn what_senders_write_is_text() {
    let receiver = Receiver::always(400);
    let home = home(&receiver.url());
    let daemon = home.start();
    let evil = r#"<img src=/healthz onerror="window.hit=1"><script>window.hit=2</script>"#;
    let body = format!("{{\"evil\":{}}}", serde_json::Value::from(evil));
    let signature = github_signature(SECRET, body.as_bytes());
    let headers = [
        ("content-type", "application/json"),
        ("x-github-event", evil),
        ("x-github-delivery", evil),
        ("x-evil", evil),
        ("x-hub-signature-256", signature.as_str()),
    ];
    let answer = daemon.post("github", &headers, body.as_bytes());
    assert_eq!(answer.status, 202, "{}", answer.text());
    let id = answer.header("forebay-event-id").expect("an id").to_owned();
    let refused = [("content-type", "application/json"), ("x-evil", evil), ("x-hub-signature-256", evil)];
    assert_eq!(daemon.post("github", &refused, body.as_bytes()).status, 403);
    receiver.wait_for(1);

    let browser = Browser::start(&daemon.admin);
    browser.open("");
    let shown = serde_json::Value::from(evil);
    for (view, times) in [("#/live".to_owned(), 2), (format!("#/event/{id}"), 4), ("#/dead".to_owned(), 1)] {
        browser.open(&view);
        let count = format!("document.querySelector('main').innerText.split({shown}).length > {times}");
        browser.until(&format!("{view} shows it {times} times"), &count);
    }
    // JSON keeps its own quotes.
    browser.open(&format!("#/event/{id}"));
    browser.until("the body", "document.querySelector('pre.body')?.innerText.includes('<script>window.hit=2')");
    browser.open("#/rejections");
    browser.click("main a.open", "");
    browser.until(
        "the request that was refused",
        &format!("document.querySelector('.headers')?.innerText.includes({shown})"),
    );
    let made = browser.run("return [window.hit, document.querySelectorAll('main :is(img, script)').length]", &[]);
    assert_eq!(made, serde_json::json!([null, 0]));
    browser.is_clean(&[]);
}

#[test]
fn topics_say_where_to_post_and_what_went_wrong() {
    let public = "public_url = \"https://hooks.example.com\"";
    let home =
        Home::new(public, &(topic() + "[subscribers.out]\ntopics = [\"github\"]\nsink = { type = \"stdout\" }\n"));
    let daemon = home.start();
    let browser = Browser::start(&daemon.admin);
    browser.open("#/topics");
    browser.sees("Nothing has ever arrived.");
    assert_eq!(browser.text(".url code"), "https://hooks.example.com/api/events/http/github");
    browser.click(".url button", "Copy");
    browser.sees("Copied");

    let headers = [("content-type", "application/json"), ("x-hub-signature-256", "sha256=00")];
    assert_eq!(daemon.post("github", &headers, b"{}").status, 403);
    browser.sees("403 × 1");
    browser.click("main a", "Rejections");
    browser.until("it is listed", "document.querySelectorAll('tbody tr').length === 1");
    browser.click("main a.open", "");
    browser.sees("What would help");
    browser.until("it was looked into", "document.querySelector('.findings li strong')?.innerText.length > 10");
    browser.press("\u{E00C}");
    browser.until("back to the list", "location.hash === '#/rejections?topic=github'");

    post(&daemon, "push", "d", "{}");
    browser.press("6");
    browser.sees("202 × 1");
    browser.sees_no("none is accepted");
    browser.is_clean(&[]);
}

/// On a telephone and on a desk, light and dark, by the keyboard.
#[test]
fn every_view_fits_and_can_be_read() {
    let receiver = Receiver::always(400);
    let home = home(&receiver.url());
    let daemon = home.start();
    let long = "a-very-long-word-without-any-place-to-break-it-".repeat(8);
    let id = post(&daemon, &long, &long, &format!("{{\"long\":\"{long}\"}}"));
    let id = id.header("forebay-event-id").expect("an id");
    let headers = [("content-type", "application/json"), ("x-hub-signature-256", long.as_str())];
    assert_eq!(daemon.post("github", &headers, b"{}").status, 403);
    receiver.wait_for(1);

    let browser = Browser::start(&daemon.admin);
    browser.open(&format!("#/event/{id}"));
    browser.sees("giv");
    for (width, scheme) in [(360, "light"), (1280, "light"), (1280, "dark"), (360, "dark")] {
        browser.resize(width, 800);
        browser.prefer(scheme);
        for (key, heading) in
            ["Live", "github", "Subscribers", "Dead letters", "Replay", "Topics", "Rejections"].iter().enumerate()
        {
            browser.press(&(key + 1).to_string());
            let here = format!("document.querySelector('h1')?.innerText.startsWith('{heading}')");
            browser.until(&format!("`{heading}` is shown"), &here);
            browser.until("it has loaded", "!document.querySelector('.loading')");
            let wide = browser.run("return document.documentElement.scrollWidth", &[]);
            assert!(wide.as_u64().expect("a number") <= u64::from(width), "{heading} at {width}: {wide} wide");
            let pale = browser.run(PALE, &[]);
            assert_eq!(pale, serde_json::json!([]), "{heading}, {scheme}: too little contrast");
        }
    }
    browser.press("?");
    browser.sees("Next and previous row");
    browser.press("\u{E00C}");
    browser.sees_no("Next and previous row");
    browser.is_clean(&[]);
}

/// Texts with a contrast below 4.5 (WCAG 2.2, success criterion 1.4.3), but for what cannot be used.
const PALE: &str = r"
const parts = (colour) => colour.match(/[\d.e-]+/g).map(Number);
const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
const flat = (colours) => {
  canvas.clearRect(0, 0, 1, 1);
  for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const light = (rgb) => {
  const [r, g, b] = rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const pale = [];
for (const node of document.querySelectorAll('body *')) {
  const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
  if (!own || !node.checkVisibility() || node.closest(':disabled, .skip, tr.fresh')) continue;
  const below = [];
  for (let at = node; at; at = at.parentElement) below.unshift(getComputedStyle(at).backgroundColor);
  const [text, ground] = [flat([...below, getComputedStyle(node).color]), flat(below)].map(light);
  const contrast = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
  if (contrast < 4.5) pale.push(`${node.outerHTML.slice(0, 80)} ${contrast.toFixed(2)}`);
}
return pale;
";
