//! Fetching a planned release before its height, so that nothing is left to go wrong then.
//!
//! What the chain has planned is asked now and then, of the node itself if it keeps to the contract, else over gRPC; a plan that is already in the plan
//! file (from `add-upgrade` without a binary) counts too.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info, warn};

use crate::config::Config;
use crate::due::Author;
use crate::heights;
use crate::node::contract;
use crate::plan::{self, Plan};
use crate::telling::Event;
use crate::upgrade::steps::Steps;

/// How often the chain is asked for its plan.
const ASK: Duration = Duration::from_mins(1);
/// How soon it is asked again while it does not answer: nodes take a while to come up.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// How long the chain may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long to leave a release alone whose download has failed; each failure doubles it.
const FAILED: Duration = Duration::from_mins(1);
/// The longest of these pauses.
const FAILED_MOST: Duration = Duration::from_hours(1);

/// Whether releases are fetched ahead of their height.
pub fn wanted(config: &Config) -> bool {
    config
        .baton
        .prefetch
        .unwrap_or(config.allow_download_binaries)
        && config.allow_download_binaries
}

/// Fetches every release that the chain plans, for as long as it runs.
pub async fn keep_fetching(steps: Arc<Steps>) {
    let mut failed: Option<(Plan, Duration)> = None;
    let mut told: Option<Plan> = None;
    loop {
        let (planned, answered) = planned(&steps).await;
        let mut pause = if answered { ASK } else { ASK_AGAIN };
        if let Some(plan) = planned.as_ref().filter(|plan| told.as_ref() != Some(plan)) {
            steps.telling().tell(Event::PlanSeen {
                name: plan.name.clone(),
                height: plan.height,
                info: plan.info.clone(),
                provenance: Author::Node,
            });
            told = Some(plan.clone());
        }
        if let Some(plan) = planned {
            match steps.clone().prefetch(&plan).await {
                Ok(()) => failed = None,
                Err(error) => {
                    let again = match &failed {
                        Some((before, pause)) if *before == plan => (*pause * 2).min(FAILED_MOST),
                        _ => FAILED,
                    };
                    warn!(name = plan.name, %error, again_in = ?again, "a planned release cannot be fetched yet");
                    steps.telling().tell(Event::PrefetchFailed {
                        name: plan.name.clone(),
                        error,
                        what_to_do: format!(
                            "put the binary in place with `add-upgrade {} <binary>` before height {}",
                            plan.name, plan.height
                        ),
                    });
                    failed = Some((plan, again));
                    pause = again;
                }
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// The next plan, and whether the chain answered.
async fn planned(steps: &Steps) -> (Option<Plan>, bool) {
    let about = contract::about(&steps.layout().control_dir()).await;
    if let Ok(Some(plan)) = about.map(|about| about.plan) {
        return (Some(plan), true);
    }
    let address = &steps.config().grpc_address;
    match heights::current_plan(address, ANSWER).await {
        Ok(Some(plan)) => {
            info!(
                name = plan.name,
                height = plan.height,
                "the chain plans an upgrade"
            );
            (Some(plan), true)
        }
        answer => {
            if let Err(error) = &answer {
                debug!(%error, "the chain's plan cannot be asked for");
            }
            let in_file = plan::read_file(&steps.layout().plan_file())
                .ok()
                .flatten()
                .and_then(|file| file.content.ok())
                .filter(|plan| !plan.info.is_empty());
            (in_file, answer.is_ok())
        }
    }
}
