//! What becomes of changes that were not synced when the power went.

use std::collections::BTreeMap;

use super::{Change, Naming};
use crate::offered_events::Dice;

/// What a disk writes as one.
const SECTOR: u64 = 512;

/// Makes a change, or only the part of a write for which `keep` is so (by its place in the file).
pub(super) fn apply(bytes: &mut Vec<u8>, change: &Change, keep: Option<&mut dyn FnMut(u64) -> bool>) {
    match change {
        Change::Length(length) => bytes.resize(place(*length), 0),
        Change::Write { at, bytes: new } => {
            let (from, to) = (place(*at), place(*at) + new.len());
            if bytes.len() < to {
                bytes.resize(to, 0);
            }
            let Some(keep) = keep else {
                bytes[from..to].copy_from_slice(new);
                return;
            };
            for (n, byte) in new.iter().enumerate() {
                if keep(*at + n as u64) {
                    bytes[from + n] = *byte;
                }
            }
        }
    }
}

fn place(at: u64) -> usize {
    usize::try_from(at).expect("a file of a test is small")
}

/// Settles a file.
pub(super) fn content(safe: &mut Vec<u8>, pending: &[Change], dice: &mut Dice) {
    let manner = dice.below(5);
    let whole = match manner {
        1 => pending.len(),
        // In order up to some place; the next one is torn.
        2 => dice.index(pending.len() + 1),
        // None at all, or not in order.
        _ => 0,
    };
    for change in &pending[..whole] {
        apply(safe, change, None);
    }
    match (manner, &pending[whole..]) {
        (2, [next, ..]) => torn(safe, next, dice),
        (3, rest) => {
            for change in rest {
                match dice.below(4) {
                    0 => {}
                    1 => apply(safe, change, None),
                    2 => torn(safe, change, dice),
                    _ => by_sector(safe, change, dice),
                }
            }
        }
        (4, rest) => rest.iter().for_each(|change| by_sector(safe, change, dice)),
        _ => {}
    }
}

fn torn(safe: &mut Vec<u8>, change: &Change, dice: &mut Dice) {
    match change {
        Change::Write { at, bytes } => {
            let cut = at + dice.below(bytes.len() as u64 + 1);
            let head = !dice.one_in(4);
            apply(safe, change, Some(&mut |place| (place < cut) == head));
        }
        Change::Length(_) => by_sector(safe, change, dice),
    }
}

fn by_sector(safe: &mut Vec<u8>, change: &Change, dice: &mut Dice) {
    if matches!(change, Change::Length(_)) {
        if dice.one_in(2) {
            apply(safe, change, None);
        }
        return;
    }
    let (mut sector, mut kept) = (u64::MAX, false);
    apply(
        safe,
        change,
        Some(&mut |place| {
            if place / SECTOR != sector {
                (sector, kept) = (place / SECTOR, dice.one_in(2));
            }
            kept
        }),
    );
}

/// Settles the directory.
pub(super) fn names(safe: &mut BTreeMap<String, u64>, pending: &[Naming], dice: &mut Dice) {
    let manner = dice.below(4);
    let whole = match manner {
        0 => 0,
        1 => pending.len(),
        _ => dice.index(pending.len() + 1),
    };
    for (n, naming) in pending.iter().enumerate() {
        if n < whole || (manner == 3 && dice.one_in(2)) {
            name(safe, naming);
        }
    }
}

/// Makes a change of the directory, unless what it builds on was lost.
fn name(safe: &mut BTreeMap<String, u64>, naming: &Naming) {
    match naming {
        Naming::Put(name, file) => {
            safe.insert(name.clone(), *file);
        }
        Naming::Move { from, to, file } if safe.get(from) == Some(file) => {
            safe.remove(from);
            safe.insert(to.clone(), *file);
        }
        Naming::Take(name, file) if safe.get(name) == Some(file) => {
            safe.remove(name);
        }
        Naming::Move { .. } | Naming::Take(..) => {}
    }
}
