//! The configuration: broken and unwise files, the shipped files, and that no secret of a file is ever shown.

#[path = "config/broken.rs"]
mod broken;
#[path = "config/otlp.rs"]
mod otlp;
#[path = "config/shipped.rs"]
mod shipped;
#[path = "config/shown.rs"]
mod shown;
#[path = "config/surroundings.rs"]
mod surroundings;
