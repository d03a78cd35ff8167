//! What all examples do alike: read two options, and say who they are.

use std::net::SocketAddr;
use std::path::PathBuf;

use baton_handover::Serving;

/// The options of an example.
pub struct Options {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where generations find each other.
    pub control_dir: PathBuf,
    /// What else was given, in pairs: `--name value`.
    #[allow(dead_code)]
    pub more: Vec<(String, String)>,
}

/// The options of this process; ends it with a word about the usage if they are not understood.
pub fn options() -> Options {
    // Tests stop a handover in the middle by fault points, named in the variable FAILPOINTS.
    std::mem::forget(fail::FailScenario::setup());
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::INFO)
        .init();
    let usage = || -> ! {
        eprintln!("usage: --listen ADDRESS:PORT --control-dir DIRECTORY");
        std::process::exit(2);
    };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (mut listen, mut control_dir, mut more) = (None, None, Vec::new());
    for pair in arguments.chunks(2) {
        match pair {
            [name, value] if name == "--listen" => listen = value.parse().ok(),
            [name, value] if name == "--control-dir" => control_dir = Some(PathBuf::from(value)),
            [name, value] if name.starts_with("--") => {
                more.push((name[2..].to_owned(), value.clone()))
            }
            _ => usage(),
        }
    }
    let (Some(listen), Some(control_dir)) = (listen, control_dir) else {
        usage()
    };
    Options {
        listen,
        control_dir,
        more,
    }
}

/// Says who serves where, on standard output.
pub fn say(name: &str, serving: &Serving, address: SocketAddr) {
    println!(
        "{name}: pid {} generation {} listens on {address}",
        std::process::id(),
        serving.generation()
    );
}
