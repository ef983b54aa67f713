//! Reaching the daemon: its token, and what the page does while nobody answers.

use crate::client::{Client, eventually};
use crate::daemon::Home;
use crate::driver::Browser;
use crate::{SECRET, post, topic};

const TOKEN: &str = "open-sesame-0123456789";

/// A configuration with fixed places to listen, or any.
fn text(ingress: &str, admin: &str, token: &str) -> String {
    format!(
        "[ingress]\nlisten = \"{ingress}\"\n[admin]\nlisten = \"{admin}\"\n{token}\n\
         [journal]\npath = \"journal\"\nmin_free = \"1 MiB\"\n[log]\nformat = \"json\"\n{}",
        topic()
    )
}

const ANY: &str = "127.0.0.1:0";

#[test]
fn the_token_is_asked_for_once() {
    let home = Home::with_text(&text(ANY, ANY, &format!("token = \"{TOKEN}\"")));
    let daemon = home.start();
    post(&daemon, "push", "the-delivery", "{}");
    let browser = Browser::start(&daemon.admin);
    browser.open("");
    browser.sees("Admin token");
    browser.press("not-the-token\u{E007}");
    browser.sees("The daemon did not accept it.");
    browser.press(&format!("{TOKEN}\u{E007}"));
    browser.sees("the-delivery");
    browser.until("one dialog was all", "!document.querySelector('dialog')");
    browser.until("the stream is open", "document.querySelector('.standing .badge')?.innerText === 'live'");

    // Kept for the tab, and nowhere else.
    browser.reload();
    browser.sees("the-delivery");
    let places = browser.run("return [document.querySelectorAll('dialog').length, location.href, document.cookie, JSON.stringify(localStorage)]", &[]);
    assert_eq!(places[0], 0);
    assert!(!places.to_string().contains(TOKEN), "{places}");
    browser.is_clean(&["401 (Unauthorized)"]);
    assert!(!daemon.log().join("\n").contains(TOKEN));
}

#[test]
fn who_has_no_token_is_told_and_can_give_it_later() {
    let home = Home::with_text(&text(ANY, ANY, &format!("token = \"{TOKEN}\"")));
    let daemon = home.start();
    let browser = Browser::start(&daemon.admin);
    browser.open("#/topics");
    browser.click("dialog button", "Cancel");
    browser.sees("the admin token is needed");
    browser.click("main button", "Enter the token");
    browser.press(&format!("{TOKEN}\u{E007}"));
    browser.sees("Nothing has ever arrived.");
    browser.is_clean(&["401 (Unauthorized)"]);
}

#[test]
fn the_page_outlives_a_restart_of_the_daemon() {
    let home = Home::with_text(&text(ANY, ANY, ""));
    let daemon = home.start();
    post(&daemon, "push", "before", "{}");
    let browser = Browser::start(&daemon.admin);
    browser.open("");
    browser.sees("before");
    browser.until("the stream is open", "document.querySelector('.standing .badge')?.innerText === 'live'");
    let (ingress, admin) = (daemon.ingress.clone(), daemon.admin.clone());
    daemon.kill();
    browser.sees("disconnected");
    browser.until("it says so everywhere", "document.getElementById('reach').innerText.startsWith('no answer')");
    assert!(browser.text("table").contains("before"), "what was known stays");

    home.configure(&text(&ingress, &admin, ""));
    let daemon = home.start();
    post(&daemon, "push", "after", "{}");
    browser.click("button", "Try now");
    browser.sees("after");
    browser.until("it is connected", "document.getElementById('reach').innerText === 'connected'");
    browser.is_clean(&["net::ERR_"]);
}

/// What the browser is told about the files of the page, and that it need not load them twice.
#[test]
fn the_files_are_strictly_served() {
    let home = Home::with_text(&text(ANY, ANY, &format!("token = \"{TOKEN}\"")));
    let daemon = home.start();
    for (path, kind) in [("/", "text/html; charset=utf-8"), ("/page.js", "text/javascript; charset=utf-8")] {
        let answer = daemon.admin(path);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)));
        let policy = answer.header("content-security-policy").expect("a policy");
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cross-origin-opener-policy"), Some("same-origin"));
        let tag = answer.header("etag").expect("a tag");
        let again = eventually("an answer", || {
            let mut client = Client::connect(&daemon.admin).ok()?;
            client
                .send(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nif-none-match: {tag}\r\n\r\n").as_bytes())
                .ok()?;
            client.answer().ok()
        });
        assert_eq!((again.status, again.body.len()), (304, 0));
    }
    assert!(!daemon.log().join("\n").contains(SECRET));
}
