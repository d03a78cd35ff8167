//! The `batond` executable: the node.

fn main() -> std::process::ExitCode {
    baton_cli::batond::main()
}
