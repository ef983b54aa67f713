//! What subscribers get, and when.

mod cpu;
mod dedupe;
mod exactness;
mod neighbours;
mod order;
mod poison;
mod replay;
mod retention;
mod retries;
mod starts;
mod stops;

use rusqlite::{Connection, OpenFlags};

use crate::client::eventually;
use crate::daemon::{Daemon, Home};
use crate::receiver::{Receiver, Request};

/// A topic that takes anything.
const OPEN: &str = r#"
[topics.open]
validator = { type = "none" }
accept = ["*/*"]
"#;

/// A subscriber with a webhook. `sink` and `more`: further keys of the sink and of the subscriber.
fn hook(name: &str, url: &str, sink: &str, more: &str) -> String {
    format!("[subscribers.{name}]\ntopics = [\"*\"]\nsink = {{ type = \"webhook\", url = \"{url}\"{sink} }}\n{more}\n")
}

/// A folder with the open topic and one subscriber, `hook`.
fn home_with(receiver: &Receiver, sink: &str, more: &str) -> Home {
    Home::new("", &(OPEN.to_owned() + &hook("hook", &receiver.url(), sink, more)))
}

/// Posts these bodies, one after the other.
fn post(daemon: &Daemon, bodies: impl IntoIterator<Item = impl AsRef<[u8]>>) {
    let mut client = daemon.client();
    for body in bodies {
        let answer = client.post("/api/events/http/open", &[], body.as_ref()).expect("an answer");
        assert_eq!(answer.status, 202, "{}", answer.text());
    }
}

/// Posts `0`, `1` and so on from several clients at once.
fn post_many(daemon: &Daemon, count: usize) {
    let clients = 8;
    std::thread::scope(|scope| {
        for n in 0..clients {
            scope.spawn(move || post(daemon, (n..count).step_by(clients).map(|number| number.to_string())));
        }
    });
}

fn seqs(requests: &[Request]) -> Vec<u64> {
    requests.iter().map(Request::seq).collect()
}

fn sorted(mut seqs: Vec<u64>) -> Vec<u64> {
    seqs.sort_unstable();
    seqs
}

/// A counter or gauge of a subscriber; `more`: further labels.
fn of_subscriber(daemon: &Daemon, name: &str, subscriber: &str, more: &str) -> u64 {
    // A counter that never counted is not there.
    let value = daemon.metric(&format!("{name}{{subscriber=\"{subscriber}\"{more}}}")).unwrap_or(0.0);
    format!("{value}").parse().expect("a count")
}

fn backlog(daemon: &Daemon, subscriber: &str) -> u64 {
    of_subscriber(daemon, "forebay_backlog_events", subscriber, "")
}

/// Waits until a subscriber is done with everything.
fn all_done(daemon: &Daemon, subscriber: &str) {
    eventually("the backlog is empty", || (backlog(daemon, subscriber) == 0).then_some(()));
}

/// A delivery that is not done with, as the state file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    seq: u64,
    attempts: u32,
    /// Milliseconds since 1970.
    due: i64,
    dead: bool,
    reason: String,
}

/// What a subscriber owes, and its dead letters.
fn rows(home: &Home, subscriber: &str) -> Vec<Row> {
    let path = home.path("journal/state.sqlite");
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("opened");
    let sql = "SELECT seq, attempts, due, dead, reason FROM deliveries WHERE subscriber = ?1 ORDER BY seq";
    let mut statement = db.prepare(sql).expect("the table is there");
    let row = |row: &rusqlite::Row<'_>| {
        Ok(Row {
            seq: row.get::<_, i64>(0)?.cast_unsigned(),
            attempts: row.get(1)?,
            due: row.get(2)?,
            dead: row.get(3)?,
            reason: row.get(4)?,
        })
    };
    statement.query_map([subscriber], row).expect("read").collect::<Result<_, _>>().expect("read")
}

/// Waits until nothing is noted of the subscriber `hook`.
fn no_rows(home: &Home) {
    eventually("no row is left", || rows(home, "hook").is_empty().then_some(()));
}

/// Waits until the only row of `hook` is like that.
fn the_row(home: &Home, what: &str, is: impl Fn(&Row) -> bool) -> Row {
    eventually(what, || match &rows(home, "hook")[..] {
        [row] if is(row) => Some(row.clone()),
        _ => None,
    })
}
