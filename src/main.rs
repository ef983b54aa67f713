//! Hands the arguments to [`forebay::command`], and returns its exit code.

use std::process::ExitCode;

use clap::Parser;

/// musl's allocator is many times slower with several threads, and glibc's keeps more memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    forebay::command::run(&forebay::cli::Cli::parse())
}
