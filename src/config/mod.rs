//! The configuration exactly as written: the tree of a TOML file in which every key and value knows where it stands.
//!
//! - [`table`]: typed reading of that tree. What cannot be read becomes a [`Problem`], and reading goes on.
//! - [`keys`]: every key there is, table by table. What is not in it is refused.
//! - [`problem`]: what is wrong or unwise, collected; [`report`]: the same as text for people.
//! - [`mask`]: keeps secrets that stand in the file out of that text.
//! - [`duration`], [`size`]: the two notations TOML lacks.
//! - [`written`]: all settings side by side, to compare two files.
//!
//! There is no second copy of the settings as plain structs: the tree is the shape as written, and `plan` turns it
//! into the shape as meant. Nothing here has an effect or knows what a key is for.

pub mod duration;
pub mod keys;
pub mod mask;
pub mod problem;
pub mod report;
pub mod size;
pub mod suggest;
pub mod table;
pub mod written;

pub use problem::{Level, Problem, Problems};
pub use report::Report;
pub use table::{Table, Value};
pub use written::{Difference, Written};
