//! The `cosmovisor` executable, in the place of Cosmovisor's.

fn main() -> std::process::ExitCode {
    baton_cli::cosmovisor::main()
}
