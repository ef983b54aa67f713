//! The latest deliveries that went well at the first attempt, of which nothing is written: in memory, so that one that
//! was made a moment ago can be told of in full.

use std::collections::VecDeque;
use std::time::Duration;

use crate::event::{Millis, Seq};

/// How many are remembered of a subscriber.
const MAX: usize = 4096;

/// A delivery that went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    /// The event.
    pub seq: Seq,
    /// When the attempt ended.
    pub time: Millis,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// How long it took.
    pub took: Duration,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<Sent>);

impl Recent {
    /// Remembers one, and forgets the oldest where there are too many.
    pub(super) fn note(&mut self, sent: Sent) {
        if self.0.len() == MAX {
            self.0.pop_front();
        }
        self.0.push_back(sent);
    }

    /// The latest delivery of an event.
    pub(super) fn find(&self, seq: Seq) -> Option<Sent> {
        self.0.iter().rev().find(|sent| sent.seq == seq).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_remembered() {
        let mut recent = Recent::default();
        let sent = |seq: u64, status| Sent {
            seq: Seq(seq),
            time: Millis(7),
            status: Some(status),
            took: Duration::from_millis(3),
        };
        for seq in 0..MAX as u64 + 10 {
            recent.note(sent(seq, 200));
        }
        assert_eq!(recent.find(Seq(9)), None);
        assert_eq!(recent.find(Seq(10)), Some(sent(10, 200)));
        recent.note(sent(100, 204));
        assert_eq!(recent.find(Seq(100)), Some(sent(100, 204)));
        assert_eq!(recent.0.len(), MAX);
    }
}
