//! Whether the chain in a home on which no node runs is whole: `batond check`.

use std::path::PathBuf;

use baton_chain::{Chain, ChainError, Options, Verified, VerifyError};

use crate::configuration::{Configuration, ConfigurationError};
use crate::genesis::{self, GenesisFileError};
use crate::home::Home;
use crate::lock::{Lock, LockError};
use crate::namespace::Name;
use crate::node_key::{NodeKey, NodeKeyError};
use crate::settings::{Environment, Flags};
use crate::upgrade;

/// What is known of a store that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// The store.
    pub path: PathBuf,
    /// What is in it.
    pub verified: Verified,
    /// A process that was killed had not closed it, so that it was mended first, as at each start.
    pub mended: bool,
}

/// Why it is not known to be whole.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// There is nothing to look at.
    #[error("there is no {}", .0.display())]
    Missing(PathBuf),
    /// A node runs on the home.
    #[error("{0}: stop the node first, or look at a copy of its home")]
    Lock(#[from] LockError),
    /// The settings are not good.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// The node's key is not good.
    #[error(transparent)]
    Key(#[from] NodeKeyError),
    /// The genesis is not good.
    #[error(transparent)]
    Genesis(#[from] GenesisFileError),
    /// The store cannot be opened.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The store is not what follows from the genesis.
    #[error("{} is damaged: {source}; restore it from a backup, or move it away to fetch the chain from peers", .path.display())]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What is wrong.
        source: Box<VerifyError>,
    },
}

/// Does all blocks of a namespace again from the genesis on, and compares; changes nothing but what a start mends
/// after a kill. `progress` is told each height and
/// the last.
pub fn inspect(
    home: &Home,
    name: &Name,
    environment: &Environment,
    mut progress: impl FnMut(u64, u64),
) -> Result<Inspected, InspectError> {
    let own = home.namespace(name);
    if !own.config().exists() {
        return Err(InspectError::Missing(own.config()));
    }
    let Configuration {
        home: own,
        paths,
        settings,
        ..
    } = if name.is_global() {
        Configuration::load(own, &Flags::default(), environment)?
    } else {
        Configuration::of_namespace(own)?
    };
    let path = paths.core();
    if !path.exists() {
        return Err(InspectError::Missing(path));
    }
    let _lock = Lock::take(&home.lock())?;
    let key = NodeKey::read(&paths.node_key)?;
    let genesis = genesis::of_home(&own.genesis(), &settings.chain_id, &key)?;
    let options = Options {
        migrations: upgrade::migrations(),
        ..Options::default()
    };
    let (chain, mended) = match Chain::open_read_only(&path, &genesis, options.clone()) {
        Err(error) if error.is_unclosed() => (Chain::open(&path, &genesis, options)?, true),
        opened => (opened?, false),
    };
    let last = chain.tip().height;
    let verified = chain.verify(|height| progress(height, last));
    let verified = verified.map_err(|source| InspectError::Damaged {
        path: path.clone(),
        source: Box::new(source),
    })?;
    chain.close();
    Ok(Inspected {
        path,
        verified,
        mended,
    })
}
