//! A daemon that is killed loses nothing that it has answered.

mod early;
mod ledger;
mod storm;

use std::io::Read;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::value::RawValue;

use crate::client::eventually;
use crate::daemon::Home;
use crate::receiver::Receiver;
use ledger::{Arrival, Ledger, digest_of};
use storm::{Dice, SECRET, Storm};

const CLIENTS: u64 = 8;

/// The least number of acknowledged events for a run to say anything.
const ENOUGH: usize = 1_000;

fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    let given = std::env::var("FOREBAY_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or(u64::try_from(now & u128::from(u32::MAX)).expect("32 bits"))
}

fn kills() -> u64 {
    std::env::var("FOREBAY_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(30)
}

/// An envelope, with the body's text as it is.
#[derive(serde::Deserialize)]
struct Line<'a> {
    id: String,
    #[serde(borrow)]
    metadata: std::collections::BTreeMap<&'a str, std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    payload: &'a RawValue,
}

fn arrival(line: &str) -> Option<Arrival> {
    let line: Line<'_> = serde_json::from_str(line).ok()?;
    let delivery = line.metadata.get("x-github-delivery")?.clone().into_owned();
    Some(Arrival { id: line.id, delivery, digest: digest_of(line.payload.get().as_bytes()) })
}

/// What one life of the daemon has printed. Only its last line may be torn, for it was killed.
fn printed(lines: &[String]) -> Vec<Arrival> {
    let whole = |(n, line): (usize, &String)| {
        let arrival = arrival(line);
        assert!(arrival.is_some() || n + 1 == lines.len(), "not an event: {line}");
        arrival
    };
    lines.iter().enumerate().filter_map(whole).collect()
}

/// Starts a daemon and kills it somewhere on its way. Answers what it has printed.
fn false_start(home: &Home, after: Duration) -> Vec<String> {
    let mut command = home.command();
    let mut child = command.arg("serve").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    std::thread::sleep(after);
    child.kill().expect("it is our child");
    let mut text = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut text).expect("text");
    child.wait().expect("it is our child");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn nothing_that_was_answered_is_lost_when_the_daemon_is_killed() {
    let (seed, kills, began) = (seed(), kills(), Instant::now());
    println!("FOREBAY_SEED={seed} FOREBAY_KILLS={kills}");
    let receiver = Receiver::always(200);
    let home = Home::new("", "");
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("written")
        + &format!(
            r#"
[topics.github]
validator = {{ type = "github", secret = "{SECRET}" }}
[subscribers.console]
topics = ["*"]
sink = {{ type = "stdout" }}
[subscribers.archive]
topics = ["github"]
sink = {{ type = "file", path = "{}" }}
[subscribers.hook]
topics = ["github.push"]
retry = {{ first = "10ms", max = "100ms" }}
sink = {{ type = "webhook", url = "{}" }}
"#,
            home.path("archive.ndjson").display(),
            receiver.url(),
        );
    home.configure(&text);

    let (mut dice, storm) = (Dice::new(seed), Storm::begin(CLIENTS, seed));
    let mut console = Vec::new();
    for _ in 0..kills {
        if dice.below(5) == 0 {
            console.extend(printed(&false_start(&home, Duration::from_micros(dice.below(60_000)))));
        } else {
            let daemon = home.start();
            storm.aim(&daemon.ingress);
            std::thread::sleep(Duration::from_micros(dice.below(300_000)));
            console.extend(printed(&daemon.kill()));
        }
    }
    let ledger = storm.end();
    let acknowledged = ledger.acknowledged();
    assert!(acknowledged > ENOUGH, "void: only {acknowledged} events were acknowledged");

    let daemon = home.start();
    let archive = || {
        let text = std::fs::read_to_string(home.path("archive.ndjson")).unwrap_or_default();
        text.lines().map(|line| arrival(line).unwrap_or_else(|| panic!("torn: {line}"))).collect::<Vec<_>>()
    };
    let hook = || {
        let requests = receiver.requests();
        let arrival = |request: &crate::receiver::Request| Arrival {
            id: request.header("forebay-event-id").to_owned(),
            delivery: request.header("x-github-delivery").to_owned(),
            digest: digest_of(&request.body),
        };
        requests.iter().map(arrival).collect::<Vec<_>>()
    };
    for subscriber in ["console", "archive", "hook"] {
        let series = format!("forebay_backlog_events{{subscriber=\"{subscriber}\"}}");
        eventually("everything is delivered", || (daemon.metric(&series)? < 1.0).then_some(()));
    }
    let (status, out, log) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{}", log.join("\n"));
    console.extend(printed(&out));
    for (subscriber, arrivals) in [("console", console), ("archive", archive()), ("hook", hook())] {
        let verdict = ledger.judge(&arrivals);
        println!("{subscriber}: {acknowledged} acknowledged, {verdict:?}");
        assert!(verdict.is_good(), "{subscriber}, FOREBAY_SEED={seed}: {verdict:?}");
        assert!(verdict.events >= acknowledged, "{subscriber}");
    }
    println!("{kills} kills in {:?}", began.elapsed());
}

/// The storm against a server that is no daemon of ours, with more or less care.
fn storm_against_a_server(answers_early: bool) -> (Arc<Ledger>, Vec<Arrival>) {
    let (seed, folder) = (seed(), tempfile::tempdir().expect("a folder"));
    let (mut dice, storm) = (Dice::new(seed), Storm::begin(CLIENTS, seed));
    for _ in 0..5 {
        let server = early::Server::start(folder.path(), answers_early);
        storm.aim(&server.address);
        let before = storm.ledger.acknowledged();
        eventually("events are acknowledged", || (storm.ledger.acknowledged() > before + 50).then_some(()));
        std::thread::sleep(Duration::from_micros(dice.below(20_000)));
        server.kill();
    }
    (storm.end(), early::arrivals(folder.path()))
}

/// Shows that the test above can fail.
#[test]
fn an_answer_before_the_write_is_noticed() {
    let (ledger, arrivals) = storm_against_a_server(true);
    let verdict = ledger.judge(&arrivals);
    assert!(verdict.missing > 0, "{verdict:?}");
    let (ledger, arrivals) = storm_against_a_server(false);
    let verdict = ledger.judge(&arrivals);
    assert!(verdict.is_good() && verdict.events > 200, "{verdict:?}");
}
