//! The steps of a start and a stop: each is named, timed, logged, and has an error of its own.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tokio::sync::watch;
use tracing::{error, info};

/// A step of a start, in the order of N§2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The log.
    Logging,
    /// The settings, and what they say about each other.
    Configuration,
    /// One process a home.
    Lock,
    /// The genesis and the node's key.
    NetworkParameters,
    /// Where the API and others are listened for.
    Listeners,
    /// Blocks, state and indexes.
    Core,
    /// Access tokens and feeds.
    Tokens,
    /// Contract instances.
    Trace,
    /// Transactions to come.
    Pool,
    /// Key files.
    Keystore,
    /// The wallet's store, accounts, assets and contracts.
    Wallet,
    /// Peers.
    Peers,
    /// What consensus has signed and was told.
    Guard,
    /// Consensus and the fetching of blocks.
    Consensus,
    /// Who is rewarded for blocks.
    MiningAddress,
    /// The proposer of blocks.
    Proposer,
    /// HTTP and `WebSockets`.
    Api,
    /// The control socket.
    Control,
}

impl Step {
    /// Its name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logging => "logging",
            Self::Configuration => "configuration",
            Self::Lock => "lock",
            Self::NetworkParameters => "network parameters",
            Self::Listeners => "listeners",
            Self::Core => "store core",
            Self::Tokens => "store accesstoken",
            Self::Trace => "store trace",
            Self::Pool => "transaction pool",
            Self::Keystore => "keystore",
            Self::Wallet => "wallet",
            Self::Peers => "peers",
            Self::Guard => "sign guard",
            Self::Consensus => "consensus",
            Self::MiningAddress => "mining address",
            Self::Proposer => "proposer",
            Self::Api => "api",
            Self::Control => "control socket",
        }
    }

    /// What comes before the cause when it fails; bytomd's words where it has some.
    fn failure(self) -> &'static str {
        match self {
            Self::Lock => "Error: ",
            Self::Core => "Failed to create chain structure: ",
            Self::Keystore => "initialize HSM failed: ",
            Self::Peers => "Failed to create sync manager: ",
            Self::Tokens => "Failed to open the access tokens: ",
            Self::Trace => "Failed to open the contract instances: ",
            Self::Pool => "Failed to open the transaction pool: ",
            Self::Wallet => "Failed to open the wallet: ",
            Self::Guard | Self::Consensus => "Failed to start consensus: ",
            Self::Proposer => "Failed to start the proposer: ",
            Self::Logging => "Failed to open the log: ",
            Self::Control => "Failed to open the control socket: ",
            Self::Configuration
            | Self::NetworkParameters
            | Self::Listeners
            | Self::MiningAddress
            | Self::Api => "",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A step that failed.
#[derive(Debug)]
pub struct StepError {
    /// The step.
    pub step: Step,
    /// Why.
    pub source: Box<dyn Error + Send + Sync>,
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.step.failure(), self.source)
    }
}

impl Error for StepError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.source()
    }
}

/// Takes a step, and tells the log and the service manager about it.
pub(crate) async fn take<T, E>(
    step: Step,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, StepError>
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    tell_status(&format!("starting: {step}"));
    let since = Instant::now();
    match work.await {
        Ok(done) => {
            info!(step = step.name(), took = took(since), "started");
            Ok(done)
        }
        Err(source) => {
            let source = source.into();
            error!(step = step.name(), took = took(since), error = %source, "cannot start");
            Err(StepError { step, source })
        }
    }
}

/// The same for what does not wait.
pub(crate) fn take_now<T, E>(
    step: Step,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, StepError>
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let mut taken = std::pin::pin!(take(step, async { work() }));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match taken.as_mut().poll(&mut context) {
        std::task::Poll::Ready(done) => done,
        std::task::Poll::Pending => unreachable!("nothing in it waits"),
    }
}

/// How long a stop waits for each part, and whether somebody is in a hurry. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    grace: Duration,
    hurry: watch::Receiver<bool>,
}

/// What a part gets when somebody is in a hurry: enough to close a store.
const HURRIED: Duration = Duration::from_secs(1);

impl Patience {
    pub(crate) fn new(grace: Duration, hurry: watch::Receiver<bool>) -> Self {
        Self { grace, hurry }
    }

    /// How long it waits, at most.
    pub(crate) fn grace(&self) -> Duration {
        if *self.hurry.borrow() {
            self.grace.min(HURRIED)
        } else {
            self.grace
        }
    }

    /// Waits until there is no more patience.
    async fn over(&self) {
        let mut hurry = self.hurry.clone();
        let hurried = async {
            if hurry.wait_for(|hurry| *hurry).await.is_err() {
                // nobody is there to be in a hurry
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(HURRIED).await;
        };
        tokio::select! {
            () = tokio::time::sleep(self.grace) => {}
            () = hurried => {}
        }
    }

    /// Ends a part; says in the log if it took too long and was left alone.
    pub(crate) async fn end(&self, part: &'static str, work: impl Future<Output = ()>) -> bool {
        tell_status(&format!("stopping: {part}"));
        ask_for_time(self.grace() + HURRIED);
        let since = Instant::now();
        tokio::select! {
            () = work => {
                info!(part, took = took(since), "stopped");
                true
            }
            () = self.over() => {
                error!(part, after = took(since), "did not stop in time and is left alone");
                false
            }
        }
    }
}

fn took(since: Instant) -> String {
    format!("{:.1}ms", since.elapsed().as_secs_f64() * 1e3)
}

/// Asks the service manager not to lose patience within this time.
fn ask_for_time(time: Duration) {
    let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    // as with `tell_status`, nobody may listen
    let _ = sd_notify::notify(&[NotifyState::ExtendTimeoutUsec(micros)]);
}

/// What `systemctl status` shows.
pub(crate) fn tell_status(text: &str) {
    // without a service manager nobody is told; one that does not listen is no reason to fail
    let _ = sd_notify::notify(&[NotifyState::Status(text)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_the_words_of_its_step() {
        let failed = take_now(Step::Lock, || Err::<(), _>("datadir already used")).unwrap_err();
        assert_eq!(failed.to_string(), "Error: datadir already used");
        let failed = take_now(Step::NetworkParameters, || {
            Err::<(), _>("chain_id[] don't exist")
        });
        assert_eq!(failed.unwrap_err().to_string(), "chain_id[] don't exist");
        assert_eq!(
            take_now(Step::Core, || Ok::<_, std::io::Error>(5)).unwrap(),
            5
        );
    }

    #[tokio::test]
    async fn a_part_that_does_not_end_is_left_alone() {
        let (hurry, hurried) = watch::channel(false);
        let patience = Patience::new(Duration::from_millis(20), hurried.clone());
        assert!(patience.end("quick", async {}).await);
        assert!(!patience.end("slow", std::future::pending()).await);
        hurry.send_replace(true);
        let patience = Patience::new(Duration::from_hours(1), hurried);
        assert_eq!(patience.grace(), HURRIED);
        assert!(!patience.end("slow", std::future::pending()).await);
    }
}
