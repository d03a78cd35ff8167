//! The `batoncli` executable, in the place of bytomcli's.

fn main() -> std::process::ExitCode {
    baton_client::main()
}
