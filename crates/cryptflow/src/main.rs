//! The `cryptflow` command.

mod commands;

use std::process::ExitCode;

use clap::Parser;

/// Private inference of TensorFlow and ONNX models between three parties.
#[derive(Parser)]
#[command(name = "cryptflow", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    match commands::run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
