//! What the README has a reader type first does what it says.

use std::path::Path;
use std::process::Command;

use crate::client::eventually;
use crate::daemon::Home;

/// The shell blocks of the README, in order.
fn blocks() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(path).expect("the README");
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default().to_owned());
    blocks.collect()
}

/// The shell's answer to a script.
fn sh(script: &str) -> String {
    let curl = Command::new("curl").arg("--version").output();
    assert!(curl.is_ok_and(|output| output.status.success()), "this test needs `curl`; `.ci/tools` installs it");
    let output = Command::new("sh").args(["-c", script]).output().expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_first_steps_work() {
    let blocks = blocks();
    assert!(blocks[0].ends_with("-c config/quickstart.toml serve\n"), "it runs the quickstart");
    let quickstart = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/quickstart.toml");
    let quickstart = std::fs::read_to_string(quickstart).expect("the quickstart");
    assert!(quickstart.contains("listen = \"127.0.0.1:8080\""), "it listens where the README posts to");
    let anywhere = quickstart.replace("127.0.0.1:8080", "127.0.0.1:0");
    // Any port, and a log that tells which.
    let home = Home::with_text(&format!("{anywhere}\n[admin]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\n"));
    let daemon = home.start();

    assert!(blocks[1].contains("http://127.0.0.1:8080/"));
    let post = blocks[1].replace("127.0.0.1:8080", &daemon.ingress);
    let answer = sh(&post);
    assert!(answer.starts_with("HTTP/1.1 202 Accepted\r\n"), "{answer}");
    let id = answer.lines().find_map(|line| line.strip_prefix("forebay-event-id: ")).expect("an id");
    let line = eventually("the event is printed", || daemon.out().pop());
    let event: serde_json::Value = serde_json::from_str(&line).expect("one JSON object a line");
    assert_eq!((event["id"].as_str(), event["type"].as_str()), (Some(id), Some("push")));

    let again = sh(&post);
    assert!(again.contains("forebay-duplicate: true\r\n") && again.contains(id), "{again}");
    let changed = sh(&post.replace("octo/hello", "octo/hullo"));
    assert!(changed.starts_with("HTTP/1.1 403 "), "{changed}");
    eventually("the log has the reason", || daemon.log().iter().any(|line| line.contains("refused")).then_some(()));
    assert_eq!(daemon.out().len(), 1);
}

/// The README's way to check a signature by hand gives what the specification's own example has.
#[test]
fn the_signature_by_hand_is_right() {
    let by_hand = blocks().into_iter().find(|block| block.contains("openssl dgst")).expect("it is there");
    let script = format!(
        "body=$(mktemp); printf '%s' '{{\"test\": 2432232314}}' >\"$body\"
         secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw id=msg_p5jXN8AQM9LWM0D4loKWxJek timestamp=1614265330
         {by_hand}
         rm \"$body\""
    );
    assert_eq!(sh(&script).trim(), "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}
