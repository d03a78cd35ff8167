//! Where a node's RPC is.
//!
//! As the operator says, else as the node was told on its command line, else as its
//! configuration says, else where nodes listen by default. An address to listen at, such as
//! `tcp://0.0.0.0:26657`, stands for the loopback.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::{Host, Url};

use super::RpcError;

/// Where nodes listen by default.
const DEFAULT: &str = "http://localhost:26657";
/// A longer `config.toml` is none.
const MAX_CONFIG: u64 = 1 << 20;

/// The address of an RPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// Plain HTTP.
    Tcp {
        /// A name or an IP address, an IPv6 one in brackets.
        host: String,
        port: u16,
        /// What stands before `/status`: empty, or a path without a slash at its end.
        prefix: String,
    },
    /// Plain HTTP over a Unix socket.
    Unix(PathBuf),
    /// HTTPS, or HTTP with a password.
    Url(Url),
}

impl Address {
    /// The address of the RPC of the node with this `home` that is run with these arguments,
    /// unless the operator has set one.
    pub(crate) fn of_node(
        set: Option<&str>,
        args: &[String],
        home: &Path,
    ) -> Result<Self, RpcError> {
        if let Some(set) = set.map(str::trim).filter(|set| !set.is_empty()) {
            return Self::parse(set);
        }
        if let Some(laddr) = in_args(args) {
            return Self::parse(laddr);
        }
        // where nodes of the Cosmos SDK have it, and where batond has it
        let mut path = home.join("config").join("config.toml");
        if !path.exists() {
            path = home.join("config.toml");
        }
        match in_config(&path)? {
            None => Self::parse(DEFAULT),
            // a node may listen at several addresses, separated by commas
            Some(laddr) => match laddr.split(',').map(str::trim).find(|one| !one.is_empty()) {
                Some(one) => Self::parse(one),
                None => Err(RpcError::Off { path }),
            },
        }
    }

    pub(crate) fn parse(address: &str) -> Result<Self, RpcError> {
        let wrong = |why: &dyn fmt::Display| RpcError::Address {
            address: redacted(address),
            why: why.to_string(),
        };
        let (scheme, rest) = address.split_once("://").unwrap_or(("tcp", address));
        let text = match scheme {
            "unix" if rest.is_empty() => return Err(wrong(&"it has no path")),
            "unix" => return Ok(Self::Unix(rest.into())),
            "tcp" | "http" if rest.starts_with(':') => format!("http://0.0.0.0{rest}"),
            "tcp" => format!("http://{rest}"),
            "http" | "https" => address.to_owned(),
            _ => return Err(wrong(&format!("{scheme}:// is not known"))),
        };
        let url = Url::parse(&text).map_err(|error| wrong(&error))?;
        if url.scheme() == "https" || !url.username().is_empty() || url.password().is_some() {
            return Ok(Self::Url(url));
        }
        let host = match url.host() {
            Some(Host::Ipv4(ip)) if ip.is_unspecified() => "127.0.0.1".into(),
            Some(Host::Ipv6(ip)) if ip.is_unspecified() => "[::1]".into(),
            Some(host) => host.to_string(),
            None => return Err(wrong(&"it has no host")),
        };
        let port = match (scheme, url.port()) {
            (_, Some(port)) => port,
            ("http", None) => 80,
            (_, None) => return Err(wrong(&"it has no port")),
        };
        let prefix = url.path().trim_end_matches('/').to_owned();
        Ok(Self::Tcp { host, port, prefix })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, prefix } => write!(f, "http://{host}:{port}{prefix}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Url(url) => f.write_str(&redacted(url.as_str())),
        }
    }
}

/// An address as it may be logged: without user and password.
fn redacted(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), address),
    };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}…{}", &rest[at..]),
        None => address.to_owned(),
    }
}

/// The value of `--rpc.laddr` among a node's arguments; the last one counts.
fn in_args(args: &[String]) -> Option<&str> {
    let mut found = None;
    for (index, arg) in args.iter().enumerate() {
        if arg == "--rpc.laddr" {
            found = args.get(index + 1).map(String::as_str);
        } else if let Some(value) = arg.strip_prefix("--rpc.laddr=") {
            found = Some(value);
        }
    }
    found
}

#[derive(Deserialize)]
struct Config {
    rpc: Option<Rpc>,
}

#[derive(Deserialize)]
struct Rpc {
    laddr: Option<String>,
}

/// `rpc.laddr` in the node's configuration; `None` if there is no such file or key.
fn in_config(path: &Path) -> Result<Option<String>, RpcError> {
    let failed = |why: &dyn fmt::Display| RpcError::Config {
        path: path.to_owned(),
        why: why.to_string(),
    };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| failed(&error))?,
    };
    let mut text = String::new();
    let read = file.take(MAX_CONFIG + 1).read_to_string(&mut text);
    let length = read.map_err(|error| failed(&error))?;
    if length as u64 > MAX_CONFIG {
        return Err(failed(&format!("it has more than {MAX_CONFIG} bytes")));
    }
    let config: Config = toml::from_str(&text).map_err(|error| failed(&error.message()))?;
    Ok(config.rpc.and_then(|rpc| rpc.laddr))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(address: &str) -> String {
        Address::parse(address).map_or_else(|e| format!("error: {e}"), |a| a.to_string())
    }

    #[test]
    fn addresses_are_read_in_all_the_ways_they_are_written() {
        for (address, expected) in [
            ("tcp://127.0.0.1:26657", "http://127.0.0.1:26657"),
            ("tcp://0.0.0.0:26657", "http://127.0.0.1:26657"),
            ("tcp://[::]:26657", "http://[::1]:26657"),
            ("tcp://:26657", "http://127.0.0.1:26657"),
            ("localhost:26657", "http://localhost:26657"),
            ("http://node", "http://node:80"),
            ("http://node:1/chain/", "http://node:1/chain"),
            ("unix:///run/rpc.sock", "unix:///run/rpc.sock"),
            ("https://rpc.example.com", "https://rpc.example.com/"),
            (
                "https://me:secret@rpc.example.com/x",
                "https://…@rpc.example.com/x",
            ),
            ("http://me:secret@node:1", "http://…@node:1/"),
        ] {
            assert_eq!(parsed(address), expected, "{address}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_telling_a_password() {
        for address in [
            "",
            "node",
            "tcp://node",
            "ftp://x:1",
            "tcp://a b:1",
            "unix://",
            "http://",
            "tcp://x:99999",
        ] {
            assert!(
                parsed(address).starts_with("error: RPC address"),
                "{address}"
            );
        }
        let refused = parsed("http://me:secret@a b");
        assert!(
            refused.starts_with("error") && !refused.contains("secret"),
            "{refused}"
        );
    }

    #[test]
    fn the_operator_wins_over_the_arguments_and_those_over_the_configuration() {
        let home = tempfile::tempdir().unwrap();
        let of = |set: Option<&str>, args: &[&str]| {
            let args: Vec<String> = args.iter().map(ToString::to_string).collect();
            Address::of_node(set, &args, home.path()).map(|address| address.to_string())
        };
        assert_eq!(of(None, &[]).unwrap(), "http://localhost:26657");
        std::fs::create_dir(home.path().join("config")).unwrap();
        let path = home.path().join("config/config.toml");
        let write = |text: &str| std::fs::write(&path, text).unwrap();

        write("moniker = 'x'\n[p2p]\nladdr = 'tcp://0.0.0.0:1'\n");
        assert_eq!(of(None, &[]).unwrap(), "http://localhost:26657");
        write("[rpc]\nladdr = 'tcp://0.0.0.0:2'\n");
        assert_eq!(of(None, &[]).unwrap(), "http://127.0.0.1:2");
        write("[rpc]\nladdr = ' tcp://0.0.0.0:3, unix:///x'\n");
        assert_eq!(of(None, &[]).unwrap(), "http://127.0.0.1:3");
        let args = [
            "start",
            "--rpc.laddr",
            "tcp://0.0.0.0:4",
            "--rpc.laddr=tcp://0.0.0.0:5",
        ];
        assert_eq!(of(None, &args[..3]).unwrap(), "http://127.0.0.1:4");
        assert_eq!(of(None, &args).unwrap(), "http://127.0.0.1:5");
        assert_eq!(of(Some("http://node:6"), &args).unwrap(), "http://node:6");
        assert_eq!(of(Some(" "), &args).unwrap(), "http://127.0.0.1:5");
    }

    #[test]
    fn a_configuration_that_does_not_tell_is_named() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("config")).unwrap();
        let path = home.path().join("config/config.toml");
        let error = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Address::of_node(None, &[], home.path()).unwrap_err()
        };
        assert!(matches!(error("[rpc]\nladdr = ''\n"), RpcError::Off { .. }));
        for text in ["[rpc", "[rpc]\nladdr = 5\n", &"#".repeat(1 + (1 << 20))] {
            let error = error(text);
            assert!(matches!(error, RpcError::Config { .. }), "{error}");
            assert!(error.to_string().contains("config/config.toml"), "{error}");
        }
    }

    #[test]
    fn a_nodes_configuration_is_found_where_it_has_it() {
        let home = tempfile::tempdir().unwrap();
        let of_node = || Address::of_node(None, &[], home.path());
        assert_eq!(of_node().unwrap().to_string(), DEFAULT);
        let own = home.path().join("config.toml");
        std::fs::write(&own, "[rpc]\nladdr = \"tcp://127.0.0.1:1\"\n").unwrap();
        assert_eq!(of_node().unwrap().to_string(), "http://127.0.0.1:1");
        std::fs::write(&own, "[rpc]\nladdr = \"\"\n").unwrap();
        assert!(matches!(of_node(), Err(RpcError::Off { path }) if path == own));
        std::fs::create_dir(home.path().join("config")).unwrap();
        let sdk = home.path().join("config/config.toml");
        std::fs::write(sdk, "[rpc]\nladdr = \"tcp://127.0.0.1:2\"\n").unwrap();
        assert_eq!(of_node().unwrap().to_string(), "http://127.0.0.1:2");
    }
}
