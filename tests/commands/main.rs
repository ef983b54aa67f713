//! The commands that stand alone, as somebody at a shell has them.

mod check;
#[path = "../service/client.rs"]
#[expect(dead_code, reason = "the tests of the service use the rest")]
#[allow(unreachable_pub, reason = "it is written for a test binary of its own")]
mod client;
#[path = "../service/daemon.rs"]
#[expect(dead_code, reason = "the tests of the service use the rest")]
#[allow(unreachable_pub, reason = "it is written for a test binary of its own")]
mod daemon;
mod dev;
mod help;
mod send;
mod tls;

use std::process::{Command, Output};

/// The binary, with nothing of the environment that changes what it does.
fn forebay(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forebay"));
    for name in ["FOREBAY_CONFIG", "FOREBAY_ADMIN", "FOREBAY_ADMIN_TOKEN", "COLUMNS"] {
        command.env_remove(name);
    }
    command.args(arguments).stdin(std::process::Stdio::null());
    command
}

/// Exit code, standard output and standard error.
fn ended(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
