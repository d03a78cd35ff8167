//! A network of one's own: so many homes that know each other, with one genesis, on one machine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fs, io};

use baton_ledger::address::Prefix;
use baton_ledger::{Address, AssetId, Genesis, Output, Params, genesis};

use crate::files;
use crate::home::Home;
use crate::init::{self, InitError, Request};
use crate::node_key::NodeKey;
use crate::settings::Value;

/// The most validators: those that a ledger can have.
pub const MAX_VALIDATORS: usize = 100;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wish {
    /// How many validators.
    pub validators: usize,
    /// Where the homes are made; a directory that is not there, or empty.
    pub output: PathBuf,
    /// The network's name.
    pub chain_id: String,
    /// What its addresses begin with.
    pub prefix: Prefix,
    /// The address of the machine, which peers dial.
    pub host: IpAddr,
    /// The API of the first node; the others and the ports for peers follow, two for each node.
    pub base_port: u16,
    /// The least time between blocks, in milliseconds.
    pub block_interval_ms: u64,
    /// The most gas of a block; `None` for that of a solonet.
    pub max_block_gas: Option<u64>,
    /// Who besides the validators has something to begin with: an address and so many neu.
    pub fund: Vec<(String, u64)>,
}

/// A node that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its home.
    pub home: PathBuf,
    /// Where its API listens.
    pub api: String,
    /// Where peers connect to.
    pub p2p: String,
}

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub enum TestnetError {
    /// Too few or too many.
    #[error("{0} validators: 1 to {MAX_VALIDATORS} wanted")]
    Validators(usize),
    /// Nobody can be dialled there.
    #[error(
        "--host {0}: nodes dial each other at it, so that it must be one address of this machine"
    )]
    Host(IpAddr),
    /// Ports end at 65535.
    #[error("{validators} nodes have two ports each: from {base} on there are not as many")]
    Ports {
        /// The first.
        base: u16,
        /// How many nodes.
        validators: usize,
    },
    /// There is something already.
    #[error("{} is not empty; choose another directory", .0.display())]
    NotEmpty(PathBuf),
    /// An address is none.
    #[error("--fund {address}: {what}")]
    Fund {
        /// The address.
        address: String,
        /// What is wrong.
        what: String,
    },
    /// No chain can begin so.
    #[error("the genesis: {0}")]
    Genesis(#[from] baton_ledger::state::GenesisError),
    /// A home cannot be made.
    #[error(transparent)]
    Init(#[from] InitError),
    /// A file cannot be written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Makes the homes and a README that says how to start them.
pub fn make(wish: &Wish) -> Result<Vec<Member>, TestnetError> {
    let ports = check(wish)?;
    let keys: Vec<NodeKey> = (0..wish.validators).map(|_| NodeKey::generate()).collect();
    let genesis = begin(wish, &keys)?;
    let io = |path: &Path, source| TestnetError::Io {
        path: path.to_owned(),
        source,
    };
    files::make_private_dir(&wish.output).map_err(|source| io(&wish.output, source))?;
    let members: Vec<Member> = ports
        .iter()
        .enumerate()
        .map(|(index, (api, p2p))| Member {
            home: wish.output.join(format!("node{index}")),
            api: SocketAddr::new(wish.host, *api).to_string(),
            p2p: SocketAddr::new(wish.host, *p2p).to_string(),
        })
        .collect();
    for (index, (member, key)) in members.iter().zip(keys).enumerate() {
        let others: Vec<&str> = members
            .iter()
            .filter(|other| *other != member)
            .map(|other| other.p2p.as_str())
            .collect();
        let text = |text: &str| Value::Text(text.to_owned());
        let chosen = BTreeMap::from([
            ("api_addr", text(&member.api)),
            ("moniker", text(&format!("node{index}"))),
            ("mining", Value::Switch(true)),
            ("p2p.laddr", text(&format!("tcp://{}", member.p2p))),
            ("p2p.keep_dial", text(&others.join(","))),
            ("p2p.skip_upnp", Value::Switch(true)),
            ("p2p.lan_discoverable", Value::Switch(false)),
            (
                "p2p.max_num_peers",
                Value::Number(wish.validators.max(20) as u64),
            ),
        ]);
        let request = Request {
            chain_id: wish.chain_id.clone(),
            genesis: Some(genesis.clone()),
            chosen,
            key: Some(key),
        };
        init::init(&Home::at(&member.home), request)?;
    }
    let readme = wish.output.join("README.md");
    files::write_atomic(&readme, guide(wish, &members).as_bytes(), 0o644)
        .map_err(|source| io(&readme, source))?;
    Ok(members)
}

/// The ports of each node, for its API and for peers.
fn check(wish: &Wish) -> Result<Vec<(u16, u16)>, TestnetError> {
    let validators = wish.validators;
    if !(1..=MAX_VALIDATORS).contains(&validators) {
        return Err(TestnetError::Validators(validators));
    }
    if wish.host.is_unspecified() {
        return Err(TestnetError::Host(wish.host));
    }
    let base = wish.base_port;
    let ports = (0..validators).map(|index| {
        let api = u16::try_from(index * 2).ok()?;
        let api = base.checked_add(api)?;
        Some((api, api.checked_add(1)?))
    });
    let ports: Option<Vec<_>> = ports.collect();
    let ports = ports.ok_or(TestnetError::Ports { base, validators })?;
    let full = fs::read_dir(&wish.output).is_ok_and(|mut entries| entries.next().is_some());
    if full {
        return Err(TestnetError::NotEmpty(wish.output.clone()));
    }
    Ok(ports)
}

/// All are the federation and share the supply.
fn begin(wish: &Wish, keys: &[NodeKey]) -> Result<Genesis, TestnetError> {
    let federation: Vec<_> = keys.iter().map(NodeKey::xpub).collect();
    let like = crate::genesis::params(&keys[0]);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now_ms = now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(0));
    let params = Params {
        chain_id: wish.chain_id.clone(),
        prefix: wish.prefix,
        genesis_timestamp_ms: now_ms,
        block_interval_ms: wish.block_interval_ms,
        max_time_offset_ms: crate::genesis::max_time_offset_ms(wish.block_interval_ms),
        max_block_gas: wish.max_block_gas.unwrap_or(like.max_block_gas),
        max_validators: keys.len().max(like.max_validators),
        federation,
        ..like
    };
    let mut outputs = Vec::new();
    let mut left = genesis::BYTOM_SUPPLY_NEU;
    for (address, amount) in &wish.fund {
        let refuse = |what: String| TestnetError::Fund {
            address: address.clone(),
            what,
        };
        let program = Address::decode(address, wish.prefix)
            .map_err(|error| refuse(error.to_string()))?
            .program();
        left = left
            .checked_sub(*amount)
            .filter(|_| *amount > 0)
            .ok_or_else(|| refuse(format!("{amount} neu are not to be had")))?;
        outputs.push(Output::original(AssetId::BTM, *amount, program));
    }
    let share = left / keys.len() as u64;
    for key in keys {
        if share > 0 {
            outputs.push(Output::original(AssetId::BTM, share, key.program()));
        }
    }
    Ok(Genesis::new(params, outputs)?)
}

fn guide(wish: &Wish, members: &[Member]) -> String {
    let mut text = format!(
        "# A network of {} validators\n\n\
         Chain `{}`, a block each {} ms. Each home has a key of its own, the same `genesis.json`, and ports of its own.\n\
         The supply belongs in equal parts to the node keys; `batond pay --home <home> <address> <BTM>` pays from there.\n\n\
         | home | API | peers |\n|---|---|---|\n",
        members.len(),
        wish.chain_id,
        wish.block_interval_ms
    );
    let name = |member: &Member| {
        let name = member.home.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    let put = "a string takes what is written to it";
    for member in members {
        writeln!(
            text,
            "| `{}` | http://{} | {} |",
            name(member),
            member.api,
            member.p2p
        )
        .expect(put);
    }
    text.push_str("\nStart them, each in a terminal of its own or in the background, from this directory:\n\n```console\n");
    for member in members {
        writeln!(text, "$ batond node --home {} &", name(member)).expect(put);
    }
    writeln!(
        text,
        "```\n\nLook at one, and stop it:\n\n```console\n$ batond status --home node0\n$ curl http://{}/net-info\n\
         $ batond stop --home node0\n```\n\n\
         More than two thirds of them must run for blocks to be made. To run them on several machines, move a home as it is,\n\
         and change `api_addr`, `[p2p] laddr` and, in the others, `keep_dial` in its `config.toml`. Never run one key twice.",
        members[0].api
    )
    .expect(put);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check;
    use crate::settings::{Environment, Flags};
    use std::net::TcpListener;

    fn wish(output: &Path, validators: usize) -> Wish {
        // a port that the kernel has free, likely with free ones after it
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Wish {
            validators,
            output: output.to_owned(),
            chain_id: "wisdom".to_owned(),
            prefix: Prefix::WISDOM,
            host: IpAddr::from([127, 0, 0, 1]),
            base_port: free.local_addr().unwrap().port().min(60_000),
            block_interval_ms: 1_000,
            max_block_gas: None,
            fund: vec![("tn1qzvhv65r6qkp57fn5ylgpwk6mzry0k5sl9fjl6m".to_owned(), 5)],
        }
    }

    #[test]
    fn homes_share_a_genesis_and_dial_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("net");
        let mut wish = wish(&output, 4);
        wish.fund.clear();
        let members = make(&wish).unwrap();
        assert_eq!(members.len(), 4);
        let mut texts = Vec::new();
        for member in &members {
            let home = Home::at(&member.home);
            let found = check(&home, &Flags::new(), &Environment::default());
            let wrong: Vec<_> = found
                .problems
                .iter()
                .filter(|problem| !problem.what.contains("cannot listen"))
                .collect();
            assert!(wrong.is_empty(), "{wrong:?}");
            texts.push(fs::read_to_string(home.genesis()).unwrap());
            let config = fs::read_to_string(home.config()).unwrap();
            let dialled = members.iter().filter(|other| config.contains(&other.p2p));
            assert_eq!(dialled.count(), 4, "itself and the three others");
        }
        assert!(texts.iter().all(|one| *one == texts[0]));
        let read = crate::genesis::read(&output.join("node2/genesis.json")).unwrap();
        let genesis = read.unwrap();
        assert_eq!(genesis.params().federation.len(), 4);
        assert_eq!(genesis.params().quorum(), 3);
        let guide = fs::read_to_string(output.join("README.md")).unwrap();
        assert!(guide.contains("batond node --home node3"), "{guide}");
        assert!(matches!(make(&wish), Err(TestnetError::NotEmpty(_))));
    }

    #[test]
    fn what_cannot_be_is_refused_before_anything_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("net");
        let with = |change: fn(&mut Wish)| {
            let mut wish = wish(&output, 1);
            wish.fund.clear();
            change(&mut wish);
            make(&wish).unwrap_err().to_string()
        };
        assert!(with(|wish| wish.validators = 0).contains("1 to 100"));
        assert!(with(|wish| wish.base_port = 65_535).contains("two ports each"));
        let error = with(|wish| wish.fund = vec![("sn1qx".to_owned(), 5)]);
        assert!(error.contains("--fund sn1qx"), "{error}");
        assert!(!output.exists());
    }
}
