//! Another configuration while the daemon runs: all or nothing, nothing refused, nothing lost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use serde_json::json;

use crate::client::{eventually, github_signature};
use crate::daemon::{Daemon, Home};
use crate::receiver::{Receiver, Request};

const HEAD: &str = "[ingress]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
    [journal]\npath = \"journal\"\nmin_free = \"1 MiB\"\n[log]\nformat = \"json\"\n";

const OPEN: &str = "[topics.open]\nvalidator = { type = \"none\" }\n";

fn json_type() -> [(&'static str, &'static str); 1] {
    [("content-type", "application/json")]
}

fn reloads(daemon: &Daemon, result: &str) -> f64 {
    daemon.metric(&format!("forebay_config_reloads_total{{result=\"{result}\"}}")).expect("it is shown from the start")
}

fn logged(daemon: &Daemon, what: &str) -> bool {
    daemon.log().iter().any(|line| line.contains(what))
}

#[test]
fn topics_and_subscribers_come_and_go() {
    let receiver = Receiver::always(200);
    let home = Home::with_text(&format!("{HEAD}{OPEN}"));
    let daemon = home.start();
    assert_eq!(daemon.post("later", &json_type(), b"{}").status, 404);
    assert_eq!(daemon.post("open", &json_type(), b"{\"n\":0}").status, 202);
    let later = format!(
        "{HEAD}{OPEN}[topics.later]\nvalidator = {{ type = \"none\" }}\n\
         [subscribers.hook]\ntopics = [\"*\"]\nsink = {{ type = \"webhook\", url = \"{}\" }}\n",
        receiver.url()
    );
    home.configure(&later);
    let (status, dry) = daemon.api_post("/reload", &json!({ "dry_run": true }));
    assert_eq!((status, &dry["applied"]), (200, &json!(false)));
    assert_eq!(daemon.post("later", &json_type(), b"{}").status, 404, "nothing has changed yet");
    daemon.signal(Signal::HUP);
    eventually("it has reloaded", || (reloads(&daemon, "ok") == 1.0).then_some(()));
    assert_eq!(daemon.post("later", &json_type(), b"{\"n\":1}").status, 202);
    assert_eq!(daemon.post("open", &json_type(), b"{\"n\":2}").status, 202);
    eventually("both arrive", || (receiver.requests().len() == 2).then_some(()));
    let mut bodies: Vec<String> = receiver.requests().iter().map(Request::text).collect();
    bodies.sort();
    assert_eq!(bodies, ["{\"n\":1}", "{\"n\":2}"], "a new subscriber begins with what is recorded from now on");
    assert!(logged(&daemon, "subscribers.hook.sink.url") && logged(&daemon, "topics.later.validator.type"));
    let topics = daemon.api("/topics");
    assert_eq!(topics["topics"].as_array().map(Vec::len), Some(2));
    assert_eq!(topics["topics"][0]["name"], "later");
    assert_eq!(topics["topics"][0]["requests"]["202"], 1);

    home.configure(&format!("{HEAD}{OPEN}"));
    assert_eq!(daemon.api_post("/reload", &json!({})).0, 200);
    assert_eq!(daemon.post("later", &json_type(), b"{}").status, 404);
    assert_eq!(daemon.post("open", &json_type(), b"{\"n\":3}").status, 202);
    let gone = "forebay_backlog_events{subscriber=\"hook\"}";
    eventually("its metrics are gone", || daemon.metric(gone).is_none().then_some(()));
    assert_eq!(receiver.requests().len(), 2);
}

#[test]
fn a_wrong_file_leaves_all_as_it_was() {
    let home = Home::with_text(&format!("{HEAD}{OPEN}"));
    let daemon = home.start();
    let wrong =
        format!("{HEAD}{OPEN}[topics.new]\nvalidator = {{ type = \"githob\", secret = \"sesame-open-the-door\" }}\n");
    home.configure(&wrong);
    daemon.signal(Signal::HUP);
    eventually("it has tried", || (reloads(&daemon, "failed") == 1.0).then_some(()));
    assert!(
        logged(&daemon, "did you mean `github`?") && logged(&daemon, "forebay.toml\",\"line\":"),
        "{:?}",
        daemon.log()
    );
    let (status, answer) = daemon.api_post("/reload", &json!({}));
    let message = answer["error"]["message"].as_str().expect("a message");
    assert_eq!((status, message.contains("did you mean `github`?")), (422, true), "{message}");
    assert!(!message.contains("sesame") && !daemon.log().join("\n").contains("sesame"));
    assert_eq!(daemon.post("new", &json_type(), b"{}").status, 404);
    assert_eq!(daemon.post("open", &json_type(), b"{}").status, 202);
    assert_eq!((reloads(&daemon, "ok"), reloads(&daemon, "failed")), (0.0, 2.0));
    std::fs::remove_file(home.path("forebay.toml")).expect("it is there");
    assert_eq!(daemon.api_post("/reload", &json!({})).0, 422);
    assert_eq!(daemon.post("open", &json_type(), b"{}").status, 202);
}

#[test]
fn what_cannot_change_says_so_and_nothing_does() {
    let home = Home::with_text(&format!("{HEAD}{OPEN}"));
    let daemon = home.start();
    let cases = [
        ("ingress.listen", "listen = \"127.0.0.1:0\"\n[admin]", "listen = \"localhost:0\"\n[admin]"),
        ("journal.path", "path = \"journal\"", "path = \"elsewhere\""),
        ("journal.sync", "[journal]", "[journal]\nsync = \"never\""),
        ("log.format", "format = \"json\"", "format = \"text\""),
        ("ingress.max_connections", "[ingress]", "[ingress]\nmax_connections = 9"),
    ];
    for (key, from, to) in cases {
        let more = "[topics.more]\nvalidator = { type = \"none\" }\n";
        home.configure(&(HEAD.replacen(from, to, 1) + OPEN + more));
        let (status, answer) = daemon.api_post("/reload", &json!({}));
        let message = answer["error"]["message"].as_str().expect("a message");
        assert_eq!((status, message), (422, format!("needs a restart: `{key}`").as_str()));
        assert_eq!(daemon.post("more", &json_type(), b"{}").status, 404, "all or nothing");
        let (_, dry) = daemon.api_post("/reload", &json!({ "dry_run": true }));
        let fixed: Vec<_> =
            dry["changes"].as_array().expect("changes").iter().filter(|c| c["needs_restart"] == true).collect();
        assert_eq!((fixed.len(), &fixed[0]["key"]), (1, &json!(key)));
    }
}

#[test]
fn secrets_limits_and_levels_are_read_anew() {
    let github = "[topics.github]\nvalidator = { type = \"github\", secret = { file = \"github.key\" } }\n";
    let home = Home::with_text(&format!("{HEAD}{github}"));
    std::fs::write(home.path("github.key"), "the-first-secret-of-all\n").expect("written");
    let daemon = home.start();
    let post = |secret: &str, body: &[u8]| {
        let signature = github_signature(secret, body);
        let headers = [("content-type", "application/json"), ("x-hub-signature-256", signature.as_str())];
        daemon.post("github", &headers, body).status
    };
    assert_eq!((post("the-first-secret-of-all", b"{}"), post("the-second-secret-of-all", b"{}")), (202, 403));
    std::fs::write(home.path("github.key"), "the-second-secret-of-all\n").expect("written");
    let (status, reloaded) = daemon.api_post("/reload", &json!({}));
    assert_eq!(status, 200);
    assert_eq!(reloaded["changes"][0]["key"], "topics.github.validator.secret");
    assert_eq!((post("the-first-secret-of-all", b"{}"), post("the-second-secret-of-all", b"{}")), (403, 202));
    assert!(!daemon.log().join("\n").contains("secret-of-all"));

    home.configure(
        &HEAD
            .replace("[log]", "[log]\nlevel = \"warn\"")
            .replace("[ingress]", "[ingress]\nmax_body = \"10 B\"\nbase_path = \"/in\""),
    );
    let github = std::fs::read_to_string(home.path("forebay.toml")).expect("it is there") + github;
    home.configure(&github);
    assert_eq!(daemon.api_post("/reload", &json!({})).0, 200);
    let mut client = daemon.client();
    let answer = client.post("/in/http/github", &json_type(), b"{\"long\":\"enough\"}").expect("an answer");
    assert_eq!(answer.status, 413);
    let before = daemon.log().len();
    assert_eq!(daemon.api_post("/reload", &json!({})).0, 200);
    assert!(!daemon.log()[before..].iter().any(|line| line.contains("\"INFO\"")), "{:?}", &daemon.log()[before..]);
}

/// Posts until it is told to stop; answers what was accepted.
fn load(daemon: &Daemon, stop: &Arc<AtomicBool>, worker: usize) -> std::thread::JoinHandle<Vec<String>> {
    let (mut client, stop) = (daemon.client(), Arc::clone(stop));
    std::thread::spawn(move || {
        let mut accepted = Vec::new();
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) {
            let body = format!("{{\"worker\":{worker},\"number\":{number}}}");
            let answer = client
                .post("/api/events/http/open", &json_type(), body.as_bytes())
                .expect("no connection breaks and no request is refused");
            assert_eq!(answer.status, 202, "{}", answer.text());
            accepted.push(answer.header("forebay-event-id").expect("an id").to_owned());
            number += 1;
        }
        accepted
    })
}

#[test]
fn two_hundred_reloads_under_load_refuse_and_lose_nothing() {
    let receiver = Receiver::always(200);
    let variant = |n: u32| {
        let pick = |of: u32| usize::try_from(n % of).unwrap_or_default();
        // Each makes the steady one stay, the changing ones change, and one come or go.
        let changing = format!(
            "[subscribers.changing]\ntopics = [\"open\"]\nstart = \"earliest\"\nretry = {{ attempts = {} }}\n\
             sink = {{ type = \"file\", path = \"changing.ndjson\" }}\n\
             [subscribers.hook]\ntopics = [\"{}\"]\nstart = \"earliest\"\nsink = {{ type = \"webhook\", url = \"{}\", concurrency = {} }}\n",
            5 + n % 7,
            ["open", "*"][pick(2)],
            receiver.url(),
            1 + n % 5,
        );
        let guest =
            ["", "[subscribers.guest]\ntopics = [\"*\"]\nsink = { type = \"file\", path = \"guest.ndjson\" }\n"];
        let steady =
            "[subscribers.steady]\ntopics = [\"open\"]\nsink = { type = \"file\", path = \"steady.ndjson\" }\n";
        format!("{HEAD}{OPEN}{steady}{changing}{}", guest[pick(4) / 2])
    };
    let home = Home::with_text(&variant(0));
    let daemon = home.start();
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..4).map(|worker| load(&daemon, &stop, worker)).collect();
    for n in 1..=100_u32 {
        home.configure(&(variant(n) + "[subscribers.changing]\nsurprise = 1\n"));
        daemon.signal(Signal::HUP);
        eventually("the wrong one is refused", || (reloads(&daemon, "failed") >= f64::from(n)).then_some(()));
        home.configure(&variant(n));
        if n % 2 == 0 {
            daemon.signal(Signal::HUP);
            eventually("the right one is in force", || (reloads(&daemon, "ok") >= f64::from(n)).then_some(()));
        } else {
            let (status, answer) = daemon.api_post("/reload", &json!({}));
            assert_eq!(status, 200, "{answer}");
        }
    }
    stop.store(true, Ordering::Relaxed);
    let accepted: Vec<String> =
        workers.into_iter().flat_map(|worker| worker.join().expect("no request failed")).collect();
    assert_eq!((reloads(&daemon, "ok"), reloads(&daemon, "failed")), (100.0, 100.0));
    assert!(accepted.len() > 400, "there was load: {}", accepted.len());
    let lines = |name: &str| std::fs::read_to_string(home.path(name)).unwrap_or_default();
    let ids = |text: &str| {
        let mut ids: BTreeMap<String, usize> = BTreeMap::new();
        for line in text.lines() {
            let event: serde_json::Value = serde_json::from_str(line).expect("a whole line");
            *ids.entry(event["id"].as_str().expect("an id").to_owned()).or_default() += 1;
        }
        ids
    };
    for name in ["steady.ndjson", "changing.ndjson"] {
        let all = eventually("everything was written", || {
            Some(ids(&lines(name))).filter(|ids| accepted.iter().all(|id| ids.contains_key(id)))
        });
        let repeated = all.values().filter(|count| **count > 1).count();
        assert_eq!((all.len(), repeated), (accepted.len(), 0), "{name}");
    }
    let got: Mutex<BTreeMap<String, usize>> = Mutex::default();
    eventually("everything was posted", || {
        let mut got = got.lock().expect("not poisoned");
        got.clear();
        for request in receiver.requests() {
            *got.entry(request.header("forebay-event-id").to_owned()).or_default() += 1;
        }
        accepted.iter().all(|id| got.contains_key(id)).then_some(())
    });
    let repeated = got.lock().expect("not poisoned").values().filter(|count| **count > 1).count();
    assert_eq!(repeated, 0, "attempts that were under way have ended before the next worker began");
}
