//! The `mocknode` executable: everything is in the library, so that `baton` can be it too.
use std::process::ExitCode;

fn main() -> ExitCode {
    baton_mocknode::main()
}
