//! The chain that is run: made once, copied for each measurement.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use baton_bench::node::{Coin, FAN, Home, HomeOptions, Purse, fan_out};
use serde_json::json;

use super::supervised::Programs;

/// What each output of the genesis has, in neu: enough for a fan, or for the fees of a measurement.
const AMOUNT_NEU: u64 = 10_000_000_000;
/// Coins that are paid with while the node is changed.
pub(crate) const COINS: usize = 64;

/// A home with a chain in it, at rest.
pub(crate) struct Chain {
    home: PathBuf,
    place: PathBuf,
    pub(crate) purse: Purse,
    pub(crate) coins: Vec<Coin>,
    pub(crate) outputs: u64,
}

impl Chain {
    /// Makes a solonet with at least so many unspent outputs.
    pub(crate) async fn make(programs: &Programs, place: &Path, outputs: u64) -> Result<Self> {
        let purse = Purse::new(6);
        let fans = outputs.div_ceil(FAN as u64);
        let path = place.join("chain");
        let home = Home::solonet(
            &programs.batond,
            &path,
            &HomeOptions {
                outputs: purse.outputs(fans + COINS as u64, AMOUNT_NEU),
                params: vec![
                    ("coinbase_maturity_blocks", json!(1)),
                    ("max_block_gas", json!(1_000_000_000_u64)),
                ],
            },
        )?;
        let daemon = home.start(&["--mining"]).await?;
        daemon.wait_height(2).await?;
        let fans = usize::try_from(fans)?;
        fan_out(&daemon, &purse, fans).await?;
        let genesis = daemon.genesis().await?;
        let coins = Purse::coins(&genesis, fans + COINS).split_off(fans);
        ensure!(daemon.stop()?.success(), "the node did not stop cleanly");
        Ok(Self {
            home: path,
            place: place.to_owned(),
            purse,
            coins,
            outputs: (fans * FAN) as u64,
        })
    }

    /// A home of its own for a measurement.
    pub(crate) fn copy(&self, name: &str) -> Result<PathBuf> {
        let to = self.place.join(name);
        let status = Command::new("cp")
            .args(["-a", "--reflink=auto"])
            .args([&self.home, &to])
            .status()
            .context("running cp")?;
        ensure!(status.success(), "copying the chain: {status}");
        Ok(to)
    }
}
