//! `prepare-upgrade`: asks the chain for its plan and fetches the release, ahead of the height.
//!
//! How to ask and how to fetch is given from outside; this is the story between them. Unlike
//! upstream, the release gets the name that `run` will look for, the checksum that
//! `DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM` demands is one of the binary itself, and a binary that is
//! there already is kept and said.

use std::path::PathBuf;

use tracing::{info, warn};

use crate::binary;
use crate::config::Config;
use crate::fetch::info::Info;
use crate::fetch::{self, source::Source};
use crate::layout::{LinkError, Release};
use crate::plan::Plan;

/// A release to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The chain's plan.
    pub plan: Plan,
    /// The release it asks for.
    pub release: Release,
    /// Where its binary belongs.
    pub binary: PathBuf,
}

/// How a release came to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Brought {
    /// It was fetched.
    Fetched,
    /// It was there before, and is what the plan asks for.
    AlreadyThere,
    /// A binary was there before that is not, or not provably, the plan's: it was kept, and the
    /// fetch has told why.
    Kept,
}

/// Why it cannot be said where the binary is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAddress {
    /// The plan's info cannot be read.
    Unreadable(String),
    /// It names no binary for this machine.
    NotForHere(String),
}

/// Why the release was not prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The chain did not tell.
    #[error("failed to query upgrade info: {0}")]
    Query(String),
    /// The plan's info cannot be read.
    #[error("failed to parse upgrade info: {0}")]
    Info(String),
    /// It names no binary for this machine.
    #[error("binary URL not found in upgrade plan. Cannot prepare for upgrade: {0}")]
    NoBinary(String),
    /// The plan's name cannot name a release.
    #[error(transparent)]
    Name(#[from] LinkError),
    /// The release could not be fetched.
    #[error("failed to download and verify binary: {0}")]
    Fetch(String),
}

/// Asks for the plan by `query` (given the gRPC address), finds its binary's address by `locate`
/// (given the plan's info) and brings the release by `fetch`.
pub async fn prepare(
    config: &Config,
    query: impl AsyncFnOnce(&str) -> Result<Option<Plan>, String>,
    locate: impl FnOnce(&str) -> Result<String, NoAddress>,
    fetch: impl AsyncFnOnce(&Wanted) -> Result<Brought, String>,
) -> Result<(), PrepareError> {
    let address = &config.grpc_address;
    info!(%address, "Using gRPC address");
    if address.is_empty() {
        return Err(PrepareError::Query("gRPC address is empty".to_owned()));
    }
    let plan = query(address).await.map_err(PrepareError::Query)?;
    let Some(plan) = plan else {
        info!("No active upgrade plan found");
        return Ok(());
    };
    let (name, height) = (plan.name.clone(), plan.height);
    info!(%name, height, "Preparing for upgrade");
    let layout = config.layout();
    let release = layout.release_of(&name)?;
    let wanted = Wanted {
        binary: layout.bin(&release),
        release,
        plan,
    };
    let there = binary::ensure(&wanted.binary).is_ok();
    let path = wanted.binary.display();
    match locate(&wanted.plan.info) {
        Ok(_) if there => {
            info!(%path, "Upgrade binary is already in place, comparing it with the plan");
        }
        Ok(url) => info!(%url, "Downloading upgrade binary"),
        // Whoever put it there knew without the plan.
        Err(NoAddress::Unreadable(why) | NoAddress::NotForHere(why)) if there => {
            warn!(%path, %why, "Upgrade binary is already in place; the plan does not say where to get one to compare it with");
            info!(%name, height, "Upgrade preparation complete");
            return Ok(());
        }
        Err(NoAddress::Unreadable(why)) => return Err(PrepareError::Info(why)),
        Err(NoAddress::NotForHere(why)) => return Err(PrepareError::NoBinary(why)),
    }
    match fetch(&wanted).await.map_err(PrepareError::Fetch)? {
        Brought::Fetched | Brought::Kept => {}
        Brought::AlreadyThere => info!(%path, "Upgrade binary is the one of the plan"),
    }
    info!(%name, height, "Upgrade preparation complete");
    Ok(())
}

/// Where the plan's info says that this machine's binary is.
pub fn locate(info: &str, must_have_checksum: bool) -> Result<String, NoAddress> {
    let unreadable = |error: &dyn std::error::Error| NoAddress::Unreadable(error.to_string());
    let url = match Info::read(info).map_err(|e| unreadable(&e))? {
        Info::At(url) => url,
        Info::Here(binaries) => {
            let chosen = binaries.choose(&fetch::os_arch());
            let (_, url) = chosen.map_err(|e| NoAddress::NotForHere(e.to_string()))?;
            url.to_owned()
        }
    };
    match Source::parse(&url, must_have_checksum) {
        // As the plan has it, with the checksum.
        Ok(_) => Ok(url),
        Err(error) => Err(NoAddress::Unreadable(format!("invalid url: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::testing::{Home, logged};
    use std::fs;

    fn plan() -> Plan {
        Plan {
            name: "V2".to_owned(),
            height: 300,
            info: "info".to_owned(),
        }
    }

    /// What the world answers.
    struct World {
        plan: Result<Option<Plan>, String>,
        address: Result<String, NoAddress>,
        brought: Result<Brought, String>,
    }

    impl Default for World {
        fn default() -> Self {
            Self {
                plan: Ok(Some(plan())),
                address: Ok("https://h/v2".to_owned()),
                brought: Ok(Brought::Fetched),
            }
        }
    }

    fn run(home: &Home, world: World) -> (Result<(), String>, Vec<String>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let (result, log) = logged(|| {
            runtime.block_on(prepare(
                &home.config,
                async |address: &str| {
                    assert_eq!(address, home.config.grpc_address);
                    world.plan
                },
                |info| {
                    assert_eq!(info, "info");
                    world.address
                },
                async |wanted: &Wanted| {
                    assert_eq!(wanted.release, Release::Upgrade("v2".to_owned()));
                    assert_eq!(
                        wanted.binary,
                        home.config.layout().upgrades().join("v2/bin/simd")
                    );
                    world.brought
                },
            ))
        });
        (result.map_err(|e| e.to_string()), log)
    }

    const ADDRESS: &str = "INFO Using gRPC address address=localhost:9090";
    const PREPARING: &str = "INFO Preparing for upgrade name=V2 height=300";
    const COMPLETE: &str = "INFO Upgrade preparation complete name=V2 height=300";

    #[test]
    fn a_planned_release_is_fetched_under_the_name_that_run_looks_for() {
        let (result, log) = run(&Home::new(), World::default());
        assert_eq!(result, Ok(()));
        assert_eq!(
            log,
            [
                ADDRESS,
                PREPARING,
                "INFO Downloading upgrade binary url=https://h/v2",
                COMPLETE
            ]
        );
    }

    #[test]
    fn no_plan_is_no_error() {
        let world = World {
            plan: Ok(None),
            ..World::default()
        };
        let (result, log) = run(&Home::new(), world);
        assert_eq!(result, Ok(()));
        assert_eq!(log, [ADDRESS, "INFO No active upgrade plan found"]);
    }

    #[test]
    fn every_failure_says_where_it_was() {
        let text = || "why".to_owned();
        for (world, says) in [
            (
                World {
                    plan: Err(text()),
                    ..World::default()
                },
                "failed to query upgrade info: why",
            ),
            (
                World {
                    address: Err(NoAddress::Unreadable(text())),
                    ..World::default()
                },
                "failed to parse upgrade info: why",
            ),
            (
                World {
                    address: Err(NoAddress::NotForHere(text())),
                    ..World::default()
                },
                "binary URL not found in upgrade plan. Cannot prepare for upgrade: why",
            ),
            (
                World {
                    brought: Err(text()),
                    ..World::default()
                },
                "failed to download and verify binary: why",
            ),
            (
                World {
                    plan: Ok(Some(Plan {
                        name: "..".to_owned(),
                        ..plan()
                    })),
                    ..World::default()
                },
                "upgrade name \"..\" cannot be used as a directory name",
            ),
        ] {
            let (result, log) = run(&Home::new(), world);
            assert_eq!(result, Err(says.to_owned()));
            assert_ne!(log.last().unwrap(), COMPLETE);
        }
    }

    #[test]
    fn the_info_says_where_the_binary_is() {
        let here = format!(
            r#"{{"binaries":{{"{}":"https://h/v2"}}}}"#,
            fetch::os_arch()
        );
        assert_eq!(locate(&here, false), Ok("https://h/v2".to_owned()));
        assert!(matches!(locate(&here, true), Err(NoAddress::Unreadable(_))));
        let other = r#"{"binaries":{"plan9/386":"https://h/v2"}}"#;
        assert!(matches!(
            locate(other, false),
            Err(NoAddress::NotForHere(_))
        ));
        for unreadable in ["", "{", "git::https://h/x"] {
            let located = locate(unreadable, false);
            assert!(
                matches!(located, Err(NoAddress::Unreadable(_))),
                "{unreadable}: {located:?}"
            );
        }
    }

    #[test]
    fn an_empty_address_is_told_before_anything_is_asked() {
        let mut home = Home::new();
        home.config.grpc_address.clear();
        let (result, _) = run(&home, World::default());
        assert_eq!(
            result,
            Err("failed to query upgrade info: gRPC address is empty".to_owned())
        );
    }

    #[test]
    fn a_binary_that_is_there_is_kept_and_said() {
        let home = Home::new();
        let bin = home.at("cosmovisor/upgrades/v2/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join("simd"), "x").unwrap();
        for (world, says) in [
            (
                World {
                    brought: Ok(Brought::AlreadyThere),
                    ..World::default()
                },
                "INFO Upgrade binary is the one of the plan",
            ),
            (
                World {
                    brought: Ok(Brought::Kept),
                    ..World::default()
                },
                "INFO Upgrade binary is already in place, comparing it with the plan",
            ),
            (
                World {
                    address: Err(NoAddress::Unreadable("blank".to_owned())),
                    ..World::default()
                },
                "WARN Upgrade binary is already in place; the plan does not say",
            ),
        ] {
            let (result, log) = run(&home, world);
            assert_eq!(result, Ok(()));
            assert!(!log.iter().any(|line| line.contains("Downloading")));
            let [.., said, complete] = &log[..] else {
                panic!("{log:?}")
            };
            assert!(said.starts_with(says), "{said}");
            assert_eq!(complete, COMPLETE);
        }
    }
}
