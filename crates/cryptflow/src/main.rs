//! The `cryptflow` command.

use std::process::ExitCode;

use cryptflow::command_line;
use cryptflow::local::Executable;

fn main() -> ExitCode {
    command_line::main(std::env::args_os(), &Executable::This).into()
}
