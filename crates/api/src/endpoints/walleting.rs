//! The wallet itself: how far it is, looking again, and what it holds back.

use baton_ledger::Hash;
use baton_wallet::{chainkd::XPub, follow::Rescan};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    fault::Fault,
    namespace::Namespace,
    reply::{Answer, Reply},
    request::{Ignored, Optional, request},
    table::{Endpoint, Lane},
};

pub(super) fn table() -> Vec<Endpoint> {
    vec![
        Endpoint::wallet("wallet-info", Lane::Read, info)
            .doc("How far the wallet has followed the chain, and the rescan under way."),
        Endpoint::wallet("rescan-wallet", Lane::Write, rescan)
            .doc("Has the wallet look at the chain again, from a height on; see wallet-info for how far it is.")
            .example(r#"{"from_height":0}"#),
        Endpoint::wallet("recovery-wallet", Lane::Write, recover)
            .doc("Looks through the chain for the accounts that keys had together.")
            .example(r#"{"xpubs":["96de0361f1aba7e629d1425c097a1035678020482fe865960ba03e90f844d0f15639a5eddb71ac901c7164f82e3c1250ed1ff05509f127f1c5cc1da45fa64df5"]}"#),
        Endpoint::wallet("list-reservations", Lane::Here, reservations)
            .doc("What is held back for transactions in the making."),
        Endpoint::wallet("release-reservation", Lane::Here, release)
            .doc("Lets go of what is held back, by the reservation's number or by an output.")
            .example(r#"{"id":1}"#),
    ]
}

#[derive(Serialize)]
struct Info {
    best_block_height: u64,
    wallet_height: u64,
    /// Whether there are blocks that the wallet has not seen.
    syncing: bool,
    blocks_behind: u64,
    rescan: Option<RescanInfo>,
}

#[derive(Serialize)]
struct RescanInfo {
    from_height: u64,
    to_height: u64,
    done_percent: u64,
}

impl RescanInfo {
    fn of(rescan: Rescan, height: Option<u64>) -> Self {
        let Rescan {
            from_height,
            to_height,
        } = rescan;
        let whole = u128::from(to_height.saturating_sub(from_height)) + 1;
        let seen = height.map_or(0, |height| (height + 1).saturating_sub(from_height));
        let percent = u128::from(seen) * 100 / whole;
        Self {
            from_height,
            to_height,
            done_percent: u64::try_from(percent.min(100)).unwrap_or(100),
        }
    }
}

/// Whether the wallet's block is not the tip, and how many blocks it lacks. It is ahead of the tip when the chain was
/// begun anew and it goes back to where they part.
fn behind(wallet: Option<u64>, tip: u64) -> (bool, u64) {
    let blocks = wallet.map_or(0, |height| height + 1);
    (blocks != tip + 1, (tip + 1).saturating_sub(blocks))
}

fn info(namespace: &Namespace, _: Ignored) -> Answer {
    let progress = namespace.wallet()?.progress()?;
    let best_block_height = namespace.parts.chain.tip().height;
    let (syncing, blocks_behind) = behind(progress.height, best_block_height);
    Ok(Reply::of(&Info {
        best_block_height,
        wallet_height: progress.height.unwrap_or(0),
        syncing,
        blocks_behind,
        rescan: progress
            .rescan
            .map(|rescan| RescanInfo::of(rescan, progress.height)),
    }))
}

request! {
    /// From where.
    RescanFrom {
        from_height: u64 => "the first block to look at again; bytomd has none and begins at 0",
    }
}

fn rescan(namespace: &Namespace, Optional(request): Optional<RescanFrom>) -> Answer {
    look_again(namespace, request.from_height)?;
    Ok(Reply::none())
}

/// Has whoever brings blocks to the wallet begin anew.
pub(super) fn look_again(namespace: &Namespace, from_height: u64) -> Result<(), Fault> {
    namespace
        .parts
        .rescan
        .from(from_height)
        .map_err(Fault::plain)
}

request! {
    /// Whose accounts.
    Recover {
        xpubs: Vec<XPub> => "the root keys that the accounts share",
    }
}

fn recover(namespace: &Namespace, request: Recover) -> Answer {
    let tip = namespace.parts.chain.tip().height;
    namespace.wallet()?.recover_accounts(&request.xpubs, tip)?;
    look_again(namespace, 0)?;
    Ok(Reply::none())
}

fn reservations(namespace: &Namespace, _: Ignored) -> Answer {
    let reservations = namespace.wallet()?.list_reservations(Timestamp::now());
    Ok(Reply::of(&reservations))
}

request! {
    /// Which reservation.
    Release {
        id: u64 => "the reservation's number, as list-reservations tells it",
        output_id: String => "or an output that it holds back",
    }
}

#[derive(Serialize)]
struct Released {
    released: bool,
}

fn release(namespace: &Namespace, request: Release) -> Answer {
    let wallet = namespace.wallet()?;
    let released = match request.output_id.as_str() {
        "" => wallet.release_reservation(request.id),
        id => {
            let id: Hash = id
                .parse()
                .map_err(|_| Fault::plain(format!("{id:?} is no output's id")))?;
            wallet.release_output(&id)
        }
    };
    Ok(Reply::of(&Released { released }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_in_percent() {
        let percent = |from_height, to_height, height| {
            let rescan = Rescan {
                from_height,
                to_height,
            };
            RescanInfo::of(rescan, height).done_percent
        };
        assert_eq!(percent(0, 99, None), 0);
        assert_eq!(percent(0, 99, Some(49)), 50);
        assert_eq!(percent(100, 199, Some(99)), 0);
        assert_eq!(percent(100, 199, Some(198)), 99);
        assert_eq!(percent(100, 199, Some(500)), 100);
        assert_eq!(percent(0, u64::MAX, Some(u64::MAX - 1)), 99);
    }

    #[test]
    fn a_wallet_that_goes_back_is_no_more_there_than_one_that_lacks_blocks() {
        assert_eq!(behind(None, 4), (true, 5));
        assert_eq!(behind(Some(3), 4), (true, 1));
        assert_eq!(behind(Some(4), 4), (false, 0));
        assert_eq!(behind(Some(22), 4), (true, 0));
    }
}
