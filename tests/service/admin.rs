//! The admin listener of the real binary: its API by subject, and who may use it.

mod events;
mod guard;
mod rejections;
mod reload;
mod steering;
mod tail;
