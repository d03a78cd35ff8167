//! How this chain's protocols are called: a node of another chain has no name in common with us.

use libp2p::StreamProtocol;
use sha3::{Digest, Sha3_256};

use crate::{NetworkError, Settings};

/// The longest moniker or version that is taken from or told to a peer, in characters.
const MONIKER: usize = 64;

/// The names of one chain's protocols.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// What peers tell each other to see that they are of one chain: `/baton/<network>/<chain>/1`.
    pub(crate) chain: String,
    /// The network's name.
    pub(crate) network_id: String,
    /// What this node calls itself.
    pub(crate) agent: String,
    /// Beginning of all protocols: short, as a peer sends the whole list of them at once.
    prefix: String,
}

fn name(what: &'static str, value: &str, max: usize) -> Result<(), NetworkError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=max).contains(&value.len()) && value.bytes().all(fits) {
        return Ok(());
    }
    Err(NetworkError::Name {
        what,
        value: value.to_owned(),
        max,
    })
}

/// What may stand in a log or a table, of a text that somebody else chose.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|char| !char.is_control())
        .take(MONIKER)
        .collect::<String>()
        .trim()
        .to_owned()
}

impl Names {
    pub(crate) fn new(settings: &Settings) -> Result<Self, NetworkError> {
        name("chain", &settings.chain, 128)?;
        name("network id", &settings.network_id, 64)?;
        let chain = format!("/baton/{}/{}/1", settings.network_id, settings.chain);
        let tag = hex::encode(&Sha3_256::digest(&chain)[..10]);
        Ok(Self {
            network_id: settings.network_id.clone(),
            agent: format!(
                "baton/{} {}",
                printable(&settings.version).replace(' ', "-"),
                printable(&settings.moniker)
            ),
            prefix: format!("/baton/{tag}"),
            chain,
        })
    }

    /// A protocol of this chain.
    pub(crate) fn protocol(&self, name: &str) -> StreamProtocol {
        StreamProtocol::try_from_owned(self.text(name)).expect("it begins with a slash")
    }

    /// The same as text.
    pub(crate) fn text(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }
}

/// Version and moniker, of what a peer calls itself.
pub(crate) fn version_and_moniker(agent: &str) -> (String, String) {
    let agent = agent.strip_prefix("baton/").unwrap_or(agent);
    let (version, moniker) = agent.split_once(' ').unwrap_or((agent, ""));
    (printable(version), printable(moniker))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(chain: &str, network: &str) -> Settings {
        Settings::new(chain, network, [1; 32].into(), "/nowhere")
    }

    #[test]
    fn chains_and_networks_have_no_protocol_in_common() {
        let base = Names::new(&settings("a", "b")).unwrap();
        for other in [settings("b", "b"), settings("a", "a"), settings("b", "a")] {
            let other = Names::new(&other).unwrap();
            assert_ne!(base.chain, other.chain);
            assert_ne!(base.protocol("sync/1"), other.protocol("sync/1"));
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        for (chain, network) in [
            ("", "a"),
            ("a/b", "c"),
            ("a", "b c"),
            ("a", ""),
            (&*"x".repeat(129), "a"),
        ] {
            assert!(
                Names::new(&settings(chain, network)).is_err(),
                "{chain} {network}"
            );
        }
    }

    #[test]
    fn an_agent_yields_its_parts_and_nothing_that_harms_a_terminal() {
        let mut own = settings("a", "b");
        (own.version, own.moniker) = ("1.2.3 x".to_owned(), "my \u{1b}[31mnode".to_owned());
        let names = Names::new(&own).unwrap();
        assert_eq!(
            version_and_moniker(&names.agent),
            ("1.2.3-x".to_owned(), "my [31mnode".to_owned())
        );
        assert_eq!(
            version_and_moniker("rust-libp2p/1"),
            ("rust-libp2p/1".to_owned(), String::new())
        );
        assert!(version_and_moniker(&"y".repeat(10_000)).0.len() == MONIKER);
    }
}
