//! The command line, wherever it was typed: at the command itself, or at what else holds this library.

use std::ffi::OsString;

use clap::Parser;

use crate::commands;
use crate::local::Executable;

/// Private inference of TensorFlow and ONNX models between three parties.
#[derive(Parser)]
#[command(name = "cryptflow", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: commands::Command,
}

/// Runs the command of these arguments, of which the first is its own name, and returns the exit
/// code. Parties that it starts on this machine run `executable`.
pub fn main(arguments: impl IntoIterator<Item = OsString>, executable: &Executable) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // Of every command that has this word, it means the same.
    let json = arguments.iter().any(|argument| argument == "--json");
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(answer) => {
            // It may be the help that was asked for. Where nobody reads, nothing can be said.
            let _ = answer.print();
            return u8::try_from(answer.exit_code()).unwrap_or(2);
        }
    };
    match commands::run(arguments.command, executable) {
        Ok(()) => 0,
        Err(error) => {
            if let Some(object) = error.json().filter(|_| json) {
                println!("{object}");
            }
            eprintln!("error: {error}");
            1
        }
    }
}
