//! How far something is, while somebody waits: a bar that is drawn over on a terminal, a line now and then elsewhere. On
//! standard error, beside the output.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::words;

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The signs of the bar.
const BAR: usize = 24;

/// What is shown at the moment.
#[derive(Debug)]
pub(super) struct Progress {
    terminal: bool,
    began: Instant,
    last: Instant,
    /// Something stands on the line that is to be drawn over.
    drawn: bool,
}

impl Progress {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { terminal: io::stderr().is_terminal(), began: now, last: now, drawn: false }
    }

    /// How long to wait before looking again, by how long it has taken so far.
    pub(super) fn pause(&self) -> Duration {
        let most = if self.terminal { Duration::from_millis(250) } else { Duration::from_secs(1) };
        (self.began.elapsed() / 4).clamp(Duration::from_millis(20), most)
    }

    /// Shows how far it is. `total`: none while that is not known.
    pub(super) fn show(&mut self, done: u64, total: Option<u64>) {
        if !self.terminal {
            if self.last.elapsed() >= LINE_EVERY {
                self.last = Instant::now();
                self.write(&format!("{}\n", line(done, total, self.began.elapsed(), None)));
            }
            return;
        }
        // What is over at once needs no bar.
        if self.began.elapsed() > Duration::from_millis(300) {
            self.drawn = true;
            self.write(&format!("\r\x1b[K{}", line(done, total, self.began.elapsed(), Some(BAR))));
        }
    }

    /// Takes the bar away, so that something else can be said.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            self.write("\r\x1b[K");
        }
    }

    #[expect(clippy::unused_self, reason = "who has no progress has nothing to say")]
    fn write(&self, text: &str) {
        // Nobody is left to tell if standard error is closed.
        let _ = io::stderr().write_all(text.as_bytes());
        let _ = io::stderr().flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// `[######      ]  412 of 1,000 events, 20 a second, 30 s left`.
fn line(done: u64, total: Option<u64>, took: Duration, bar: Option<usize>) -> String {
    let Some(total) = total else { return format!("{}, still counting", words::count(done, "event")) };
    let mut text = String::new();
    if let Some(width) = bar {
        let share = |of: u64| u64::try_from(width).unwrap_or(0).saturating_mul(done.min(total)) / of;
        let filled = usize::try_from(if total == 0 { 0 } else { share(total) }).unwrap_or(0);
        text = format!("[{}{}]  ", "#".repeat(filled), " ".repeat(width - filled));
    }
    text.push_str(&format!("{} of {}", words::number(done), words::count(total, "event")));
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = done.saturating_mul(1000) / millis;
    if rate > 0 && done < total {
        let left = (total - done).saturating_mul(millis) / done.max(1);
        text.push_str(&format!(", {} a second, {} left", words::number(rate), words::long(left.max(1000))));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is() {
        let second = Duration::from_secs(1);
        for (done, total, took, bar, want) in [
            (0, None, second, Some(4), "0 events, still counting"),
            (0, Some(10), second, Some(4), "[    ]  0 of 10 events"),
            (500, Some(1000), second * 5, Some(4), "[##  ]  500 of 1,000 events, 100 a second, 5 s left"),
            (500, Some(1000), second * 5, None, "500 of 1,000 events, 100 a second, 5 s left"),
            (10, Some(10), second, Some(4), "[####]  10 of 10 events"),
            (12, Some(10), second, Some(4), "[####]  12 of 10 events"),
            (0, Some(0), second, Some(4), "[    ]  0 of 0 events"),
            (
                1,
                Some(u64::MAX),
                second,
                Some(4),
                "[    ]  1 of 18,446,744,073,709,551,615 events, 1 a second, 213,503,982,334 d left",
            ),
        ] {
            assert_eq!(line(done, total, took, bar), want);
        }
    }
}
