//! The `baton` executable.

fn main() -> std::process::ExitCode {
    baton_cli::baton::main()
}
