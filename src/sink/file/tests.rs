//! The whole sink over real files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::sink::line::tests::event;

fn settings(directory: &Path, template: &str, rotate: Option<Rotate>) -> Settings {
    Settings { path: format!("{}/{template}", directory.display()), format: LineFormat::Raw, rotate }
}

fn batch(events: &[(&str, &str)]) -> Vec<Delivery> {
    let delivery = |&(kind, body): &(&str, &str)| Delivery {
        event: event(Some(kind), &[], body.as_bytes()),
        attempt: 1,
        span: None,
    };
    events.iter().map(delivery).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("metadata").permissions().mode() & 0o777
}

#[tokio::test]
async fn events_go_to_their_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let files = Files::open(&settings(directory.path(), "new/{topic}/{date}/{type}.log", None)).expect("opened");
    let outcomes = files.deliver(&batch(&[("push", "1"), ("../x", "2"), ("push", "3")])).await;
    assert_eq!(outcomes, [Ok(Receipt::default()), Ok(Receipt::default()), Ok(Receipt::default())]);
    assert_eq!(files.deliver(&batch(&[("push", "4")])).await, [Ok(Receipt::default())]);
    let day = directory.path().join("new/github/2026-11-23");
    assert_eq!(read(&day.join("push.log")), "1\n3\n4\n");
    assert_eq!(read(&day.join("%2E.%2Fx.log")), "2\n");
    // The umask can only take away.
    assert_eq!(mode(&day.join("push.log")) & !0o640, 0);
    assert_eq!(mode(&day) & !0o750, 0);
}

#[test]
fn one_bad_file_does_not_harm_the_others() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::create_dir(directory.path().join("bad")).expect("made");
    let mut writer = Writer::new(&settings(directory.path(), "{type}", None)).expect("a template");
    let outcomes = writer.deliver(&batch(&[("good", "1"), ("bad", "2"), ("good", "3")]));
    assert_eq!((&outcomes[0], &outcomes[2]), (&Ok(Receipt::default()), &Ok(Receipt::default())));
    let refusal = outcomes[1].as_ref().expect_err("a directory is in the way");
    assert_eq!((refusal.label, refusal.give_up), ("io", false));
    assert!(refusal.reason.starts_with("could not append to `"), "{}", refusal.reason);
    assert_eq!(read(&directory.path().join("good")), "1\n3\n");
    fs::remove_dir(directory.path().join("bad")).expect("removed");
    assert_eq!(writer.deliver(&batch(&[("bad", "2")])), [Ok(Receipt::default())]);
}

#[test]
fn files_are_rotated_between_lines() {
    let directory = tempfile::tempdir().expect("a directory");
    let rotate = Some(Rotate { size: 10, keep: 2 });
    let mut writer = Writer::new(&settings(directory.path(), "a", rotate)).expect("a template");
    let lines = batch(&[("", "aaaa"), ("", "bbbb"), ("", "cccc"), ("", "a very long line"), ("", "d")]);
    assert!(writer.deliver(&lines).iter().all(Result::is_ok));
    let file = |name: &str| read(&directory.path().join(name));
    assert_eq!((file("a"), file("a.1"), file("a.2")), ("d\n".into(), "a very long line\n".into(), "cccc\n".into()));
    assert!(!directory.path().join("a.3").exists());
    // A new start goes on with the file as it is.
    let mut writer = Writer::new(&settings(directory.path(), "a", rotate)).expect("a template");
    assert_eq!(writer.deliver(&batch(&[("", "eeeeeee")])), [Ok(Receipt::default())]);
    assert_eq!(file("a"), "d\neeeeeee\n");
    assert_eq!(writer.deliver(&batch(&[("", "f")])), [Ok(Receipt::default())]);
    assert_eq!((file("a"), file("a.1")), ("f\n".into(), "d\neeeeeee\n".into()));
}

#[test]
fn open_files_are_bounded() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut writer = Writer::new(&settings(directory.path(), "{type}", None)).expect("a template");
    let kinds: Vec<_> = (0..MAX_OPEN + 10).map(|n| n.to_string()).collect();
    for _ in 0..2 {
        let events: Vec<_> = kinds.iter().map(|kind| (kind.as_str(), "x")).collect();
        assert!(writer.deliver(&batch(&events)).iter().all(Result::is_ok));
        assert_eq!(writer.open.len(), MAX_OPEN);
    }
    assert!(kinds.iter().all(|kind| read(&directory.path().join(kind)) == "x\nx\n"));
    writer.reopen();
    assert!(writer.open.is_empty());
}

#[test]
fn a_locked_file_is_waited_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut writer = Writer::new(&settings(directory.path(), "a", None)).expect("a template");
    assert_eq!(writer.deliver(&batch(&[("", "1")])), [Ok(Receipt::default())]);
    let other = fs::File::open(directory.path().join("a")).expect("opened");
    other.lock().expect("locked");
    let writing = std::thread::spawn(move || writer.deliver(&batch(&[("", "2")])));
    assert_eq!(read(&directory.path().join("a")), "1\n");
    other.unlock().expect("unlocked");
    assert_eq!(writing.join().expect("no panic"), [Ok(Receipt::default())]);
    assert_eq!(read(&directory.path().join("a")), "1\n2\n");
}

#[test]
fn a_file_that_was_moved_away_is_noticed() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut writer = Writer::new(&settings(directory.path(), "a", None)).expect("a template");
    let file = |name: &str| directory.path().join(name);
    assert_eq!(writer.deliver(&batch(&[("", "1")])), [Ok(Receipt::default())]);
    fs::rename(file("a"), file("b")).expect("moved");
    assert_eq!(writer.deliver(&batch(&[("", "2")])), [Ok(Receipt::default())]);
    assert_eq!((read(&file("b")), read(&file("a"))), ("1\n".into(), "2\n".into()));
    fs::rename(file("b"), file("a")).expect("replaced");
    assert_eq!(writer.deliver(&batch(&[("", "3")])), [Ok(Receipt::default())]);
    assert_eq!(read(&file("a")), "1\n3\n");
}

/// Two sinks write the same rotated file while each now and then has it renamed away and reopened.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_among_writers_rotation_and_reopening() {
    let directory = tempfile::tempdir().expect("a directory");
    let settings = settings(directory.path(), "a.log", Some(Rotate { size: 1000, keep: 10_000 }));
    let writers = [0, 1].map(|n| {
        let sink = Files::open(&settings).expect("opened");
        let path = directory.path().join("a.log");
        tokio::spawn(async move {
            let mut moved = 0;
            for round in 0..50 {
                let bodies: Vec<_> = (0..20).map(|i| format!("{n}-{round}-{i}")).collect();
                let mut owed: Vec<_> = bodies.iter().map(String::as_str).collect();
                while !owed.is_empty() {
                    let events: Vec<_> = owed.iter().map(|body| ("t", *body)).collect();
                    let mut outcomes = sink.deliver(&batch(&events)).await.into_iter();
                    owed.retain(|_| outcomes.next().expect("one each").is_err());
                }
                if round % 2 == 0 && fs::rename(&path, path.with_extension(format!("{n}-{round}"))).is_ok() {
                    moved += 1;
                    sink.reopen();
                }
            }
            moved
        })
    });
    for writer in writers {
        assert!(writer.await.expect("no panic") > 0, "the file was never moved");
    }

    let mut lines = Vec::new();
    for entry in fs::read_dir(directory.path()).expect("listed") {
        let text = read(&entry.expect("an entry").path());
        assert!(text.is_empty() || text.ends_with('\n'));
        lines.extend(text.lines().map(str::to_owned));
    }
    lines.sort_unstable();
    let mut want: Vec<_> =
        (0..2).flat_map(|n| (0..50).flat_map(move |r| (0..20).map(move |i| format!("{n}-{r}-{i}")))).collect();
    want.sort_unstable();
    assert_eq!(lines, want);
}

#[test]
fn a_wrong_path_is_said_at_the_start() {
    for (path, rotate) in [("/l/{x}", None), ("/l/{topic}", Some(Rotate { size: 1, keep: 1 }))] {
        let settings = Settings { path: path.into(), format: LineFormat::Raw, rotate };
        assert!(matches!(Files::open(&settings), Err(OpenError::Template(_))), "{path}");
    }
}
