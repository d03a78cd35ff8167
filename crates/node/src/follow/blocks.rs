//! Blocks for the wallet.

use std::sync::Arc;
use std::time::{Duration, Instant};

use baton_chain::{Chain, ChainError};
use baton_wallet::{Wallet, WalletError};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use super::{Following, Rescanner};
use crate::tasks::Ending;

/// Blocks that the wallet takes in one batch when it is behind: each batch waits for the disk.
const MAX_BATCH: u64 = 128;
/// Their bytes, together.
const MAX_BATCH_BYTES: usize = 4 << 20;
/// A go takes no longer, but for its last batch: between two goes the wallet can be told to rescan or to end.
const MAX_GO: Duration = Duration::from_millis(250);
/// How long to wait after an error, at first and at most.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_mins(1));
/// Progress is logged no more often.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Rescans that wait.
const MAX_WISHES: usize = 4;

/// Brings blocks to the wallet.
pub(crate) struct Follower {
    chain: Chain,
    wallet: Arc<Wallet>,
    wishes: mpsc::Receiver<u64>,
    following: watch::Sender<Following>,
}

/// Why the wallet does not follow.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the wallet: {0}")]
    Wallet(#[from] WalletError),
    #[error("the chain: {0}")]
    Chain(#[from] ChainError),
    #[error("the chain has no block {0}, though its tip is higher")]
    Hole(u64),
    #[error("it panicked: {0}")]
    Panic(String),
}

/// What a go came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Went {
    /// The wallet is at the tip.
    Caught,
    /// There is more.
    Behind,
}

impl Follower {
    pub(crate) fn new(chain: Chain, wallet: Arc<Wallet>) -> (Self, Rescanner) {
        let (wish, wishes) = mpsc::channel(MAX_WISHES);
        let follower = Self {
            chain,
            wallet,
            wishes,
            following: watch::Sender::new(Following::default()),
        };
        (follower, Rescanner(wish))
    }

    /// Tells how far it is.
    pub(crate) fn watch(&self) -> watch::Receiver<Following> {
        self.following.subscribe()
    }

    /// Follows until it is time to end.
    pub(crate) async fn run(mut self, mut ending: Ending) {
        let mut tips = self.chain.watch();
        let mut patience = PATIENCE.0;
        let mut told = Instant::now();
        // Where wallet and chain agree is looked for at the start and after each trouble, not for each block.
        let mut agreed = None;
        while !ending.has_begun() {
            tips.mark_unchanged();
            let went = self.go(&mut agreed).await;
            match went {
                Ok(went) => {
                    patience = PATIENCE.0;
                    self.tell(None);
                    if told.elapsed() >= TELL_EVERY {
                        told = Instant::now();
                        self.log();
                    }
                    if went == Went::Behind && self.wishes.is_empty() {
                        continue;
                    }
                }
                Err(trouble) => {
                    error!(error = %trouble, retry_in = ?patience, "the wallet does not follow the chain");
                    self.tell(Some(trouble.to_string()));
                    agreed = None;
                }
            }
            let troubled = self.following.borrow().error.is_some();
            let pause = async {
                if troubled {
                    tokio::time::sleep(patience).await;
                } else {
                    // an error would mean that the chain is closed, after which we are told to end
                    if tips.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            };
            tokio::select! {
                () = ending.begun() => break,
                Some(height) = self.wishes.recv() => {
                    self.rescan(height).await;
                    agreed = None;
                }
                () = pause => {}
            }
            if troubled {
                patience = (patience * 2).min(PATIENCE.1);
            }
        }
    }

    /// Brings blocks for a while.
    async fn go(&self, agreed: &mut Option<u64>) -> Result<Went, Trouble> {
        let (chain, wallet) = (self.chain.clone(), Arc::clone(&self.wallet));
        let from = *agreed;
        let (next, went) = off_runtime(move || go(&chain, &wallet, from)).await?;
        *agreed = Some(next);
        Ok(went)
    }

    async fn rescan(&self, height: u64) {
        let wallet = Arc::clone(&self.wallet);
        info!(from_height = height, "the wallet looks at blocks again");
        let done = off_runtime(move || Ok(wallet.rescan(height)?)).await;
        if let Err(error) = done {
            error!(%error, from_height = height, "a rescan could not be begun");
            self.tell(Some(error.to_string()));
        }
    }

    fn tell(&self, error: Option<String>) {
        let mut now = Following {
            tip: self.chain.tip().height,
            error,
            ..Following::default()
        };
        match self.wallet.progress() {
            Ok(progress) => {
                now.height = progress.height;
                now.rescan_to = progress.rescan.map(|rescan| rescan.to_height);
            }
            Err(error) => {
                now.error.get_or_insert_with(|| error.to_string());
            }
        }
        self.following.send_if_modified(|before| {
            let changed = *before != now;
            *before = now;
            changed
        });
    }

    fn log(&self) {
        let now = self.following.borrow();
        if let Some(to) = now.rescan_to {
            info!(height = now.height, to, "the wallet looks at blocks again");
        } else if now.height.is_none_or(|height| height + 1 < now.tip) {
            info!(height = now.height, tip = now.tip, "the wallet catches up");
        }
    }
}

/// Runs what blocks; a panic in it is a trouble like others.
async fn off_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Trouble::Panic(error.to_string())),
    }
}

/// Brings blocks from `from` on, or from where wallet and chain agree; the height that comes next.
fn go(chain: &Chain, wallet: &Wallet, from: Option<u64>) -> Result<(u64, Went), Trouble> {
    let reader = chain.read()?;
    let tip = reader.tip().height;
    let mut next = if let Some(next) = from {
        next
    } else {
        let unread = std::cell::OnceCell::new();
        let resume = wallet.resume_point(Some(tip), |height| {
            reader.hash_at(height).unwrap_or_else(|error| {
                unread.get_or_init(|| error);
                None
            })
        });
        if let Some(error) = unread.into_inner() {
            return Err(error.into());
        }
        let resume = resume?;
        if resume.went_back > 0 {
            warn!(
                blocks = resume.went_back,
                next_height = resume.next_height,
                "the wallet went back to a block on which it and the chain agree"
            );
        }
        resume.next_height
    };
    let until = Instant::now() + MAX_GO;
    while next <= tip {
        let last = tip.min(next + MAX_BATCH - 1);
        let mut blocks = Vec::new();
        let mut weight = 0;
        for height in next..=last {
            let block = reader.block(height)?.ok_or(Trouble::Hole(height))?;
            weight += block.bytes.len();
            blocks.push(block.to_block());
            if weight >= MAX_BATCH_BYTES {
                break;
            }
        }
        next += wallet.attach_blocks(&blocks)? as u64;
        if Instant::now() >= until {
            break;
        }
    }
    Ok((
        next,
        if next > tip {
            Went::Caught
        } else {
            Went::Behind
        },
    ))
}
