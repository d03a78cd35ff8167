//! `build-transaction`: one transfer, put together of actions.
//!
//! All kinds have the same parts: who pays the fee in BTM, where the asset comes from, where it goes.

use serde_json::{Map, Value, json};

use super::field::amount;
use super::{Complaint, unlock};
use crate::input::Input;

/// The asset id of BTM.
const BTM_ID: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

/// How accounts and assets are named in a request: by id, or by alias.
#[derive(Clone, Copy)]
pub(super) enum Naming {
    Id,
    Alias,
}

/// What is moved: an amount of an asset, and who has it or pays for it.
pub(super) struct Move<'a> {
    pub(super) naming: Naming,
    pub(super) account: &'a str,
    pub(super) asset: &'a str,
    pub(super) amount: u64,
}

impl Move<'_> {
    /// An action on the asset, with the fields that are its own.
    pub(super) fn action(&self, kind: &str, own: &[(&str, &str)]) -> Value {
        let asset_key = match self.naming {
            Naming::Id => "asset_id",
            Naming::Alias => "asset_alias",
        };
        let mut action = Map::from_iter([
            ("type".to_owned(), json!(kind)),
            (asset_key.to_owned(), json!(self.asset)),
            ("amount".to_owned(), json!(self.amount)),
        ]);
        action.extend(
            own.iter()
                .map(|(key, value)| ((*key).to_owned(), json!(value))),
        );
        Value::Object(action)
    }

    /// The account spends it.
    pub(super) fn spend(&self) -> Value {
        let account_key = match self.naming {
            Naming::Id => "account_id",
            Naming::Alias => "account_alias",
        };
        self.action("spend_account", &[(account_key, self.account)])
    }

    /// A program receives it.
    pub(super) fn to_program(&self, program: &str) -> Value {
        self.action("control_program", &[("control_program", program)])
    }

    /// The account pays so much BTM for gas.
    pub(super) fn fee(&self, neu: u64) -> Value {
        let asset = match self.naming {
            Naming::Id => BTM_ID,
            Naming::Alias => "BTM",
        };
        Move {
            asset,
            amount: neu,
            ..*self
        }
        .spend()
    }
}

/// The request of `build-transaction`.
pub(crate) fn build(input: &Input) -> Result<Value, Complaint> {
    let naming = if input.is_on("alias") {
        Naming::Alias
    } else {
        Naming::Id
    };
    let moved = Move {
        naming,
        account: input.argument(0),
        asset: input.argument(1),
        amount: amount(input.argument(2))?,
    };
    let fee_neu = amount(input.flag("gas"))?;
    let paid = |from: Option<Value>, to: Value| {
        let mut actions = vec![moved.fee(fee_neu)];
        actions.extend(from);
        actions.push(to);
        actions
    };
    let address = ("address", input.flag("address"));
    let vote = ("vote", input.flag("vote"));
    let actions = match input.flag("type") {
        "issue" => paid(
            Some(moved.action("issue", &[])),
            moved.action("control_address", &[address]),
        ),
        "spend" => paid(
            Some(moved.spend()),
            moved.to_program(input.flag("receiver")),
        ),
        "address" => paid(
            Some(moved.spend()),
            moved.action("control_address", &[address]),
        ),
        "retire" => paid(
            Some(moved.spend()),
            moved.action("retire", &[("arbitrary", input.flag("arbitrary"))]),
        ),
        "vote" => paid(
            Some(moved.spend()),
            moved.action("vote_output", &[address, vote]),
        ),
        "veto" => {
            let mut back = moved.spend();
            back["type"] = json!("veto");
            back["vote"] = json!(vote.1);
            paid(Some(back), moved.action("control_address", &[address]))
        }
        "register" => paid(
            Some(moved.spend()),
            moved.action("register_contract", &[("contract", input.flag("program"))]),
        ),
        "unlock" => unlock::actions(input, &moved, fee_neu)?,
        _ => return Err(Complaint::new("Invalid transaction template type")),
    };
    Ok(json!({ "base_transaction": null, "actions": actions, "ttl": 0, "time_range": 0 }))
}
