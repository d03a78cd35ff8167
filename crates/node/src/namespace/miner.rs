//! Whether this node proposes blocks, and who is paid for them.
//!
//! Rewards go to the first of these that there is: the `mining_address` of the settings, the wallet's mining address,
//! the node key's own address. The last is for nodes that propose before anybody has an account; a warning says so, and
//! as soon as there is an account rewards go there.

use std::sync::{Arc, Mutex, PoisonError};

use baton_api::Mining;
use baton_chain::Tip;
use baton_consensus::ProposerHandle;
use baton_ledger::{Address, Hash, Params};
use baton_wallet::chainkd::XPrv;
use baton_wallet::{Wallet, WalletError};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::node_key::NodeKey;
use crate::settings::Settings;
use crate::tasks::Ending;

/// The proposer as the API sees it.
#[derive(Debug)]
pub(super) struct Miner {
    proposer: ProposerHandle,
    payee: Mutex<Payee>,
    params: Params,
}

/// Who decided to whom rewards go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Payee {
    /// The settings, for as long as the node runs.
    Settings,
    /// The wallet.
    Wallet,
    /// Nobody: it is the node key.
    NodeKey,
}

impl Miner {
    pub(super) fn new(
        settings: &Settings,
        params: &Params,
        wallet: Option<&Arc<Wallet>>,
        key: &NodeKey,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let configured = match &settings.mining_address {
            Some(address) => Some(
                Address::decode(address, params.prefix)
                    .map_err(|error| format!("mining_address: {error}"))?
                    .program(),
            ),
            None => None,
        };
        let from_wallet = match wallet {
            Some(wallet) => wallet.mining_program()?,
            None => None,
        };
        let (payee, program) = match (configured, from_wallet) {
            (Some(program), _) => (Payee::Settings, program),
            (None, Some(program)) => (Payee::Wallet, program),
            (None, None) => (Payee::NodeKey, key.program()),
        };
        Ok(Self {
            proposer: ProposerHandle::new(false, Some(program)),
            payee: Mutex::new(payee),
            params: params.clone(),
        })
    }

    /// Proposes from now on, if it is asked to.
    pub(super) fn begin(&self, on: bool) {
        if !on {
            return;
        }
        self.proposer.set(true);
        let program = self.proposer.program();
        let to = program.map(|program| self.address(&program));
        match self.payee() {
            Payee::NodeKey => info!(
                to,
                "rewards go to the node key's own address until there is an account or a mining_address"
            ),
            Payee::Settings | Payee::Wallet => info!(to, "blocks are proposed; rewards go here"),
        }
    }

    pub(super) fn handle(&self) -> ProposerHandle {
        self.proposer.clone()
    }

    fn address(&self, program: &[u8]) -> String {
        match Address::from_program(program) {
            Some(address) => address.encode(self.params.prefix),
            None => hex::encode(program),
        }
    }

    fn payee(&self) -> Payee {
        *self.payee.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has rewards paid to the wallet, unless the settings say otherwise.
    fn pay_wallet(&self, program: Vec<u8>) {
        let mut payee = self.payee.lock().unwrap_or_else(PoisonError::into_inner);
        if *payee != Payee::Settings {
            *payee = Payee::Wallet;
            info!(to = self.address(&program), "rewards go here from now on");
            self.proposer.set_program(Some(program));
        }
    }

    /// While rewards go to the node key, looks with each block whether there is an account by now.
    pub(super) fn follow_wallet(
        self: &Arc<Self>,
        wallet: Arc<Wallet>,
        mut tips: watch::Receiver<Tip>,
        mut ending: Ending,
    ) -> impl Future<Output = ()> + Send + use<> {
        let this = Arc::clone(self);
        async move {
            while this.payee() == Payee::NodeKey {
                tokio::select! {
                    () = ending.begun() => return,
                    changed = tips.changed() => if changed.is_err() { break },
                }
                if !this.proposer.is_on() {
                    continue;
                }
                let asked = Arc::clone(&wallet);
                let found = tokio::task::spawn_blocking(move || program(&asked)).await;
                match found {
                    Ok(Ok(Some(program))) => this.pay_wallet(program),
                    Ok(Ok(None)) => {}
                    Ok(Err(error)) => warn!(%error, "the wallet does not tell its mining address"),
                    Err(error) => warn!(%error, "the wallet does not tell its mining address"),
                }
            }
            ending.begun().await;
        }
    }
}

fn program(wallet: &Wallet) -> Result<Option<Vec<u8>>, WalletError> {
    wallet.mining_program()
}

impl Mining for Miner {
    fn is_on(&self) -> bool {
        self.proposer.is_on()
    }

    fn set(&self, on: bool, program: Option<Vec<u8>>) -> Result<(), String> {
        if let Some(program) = program {
            self.pay_wallet(program);
        }
        if on && self.payee() == Payee::NodeKey {
            // bytomd's text
            return Err("Mining address does not exist".to_owned());
        }
        info!(on, "set-mining");
        self.proposer.set(on);
        Ok(())
    }

    fn pay_to(&self, program: Vec<u8>) {
        self.pay_wallet(program);
    }
}

/// Signs upgrade plans.
pub(super) struct Signer(XPrv);

impl Signer {
    pub(super) fn new(key: &NodeKey) -> Self {
        Self(key.secret().clone())
    }
}

impl baton_api::PlanSigner for Signer {
    fn sign(&self, message: &Hash) -> [u8; 64] {
        self.0.sign(message.as_bytes())
    }
}
