//! `build-transaction --type unlock`: spending what one of the well-known contracts holds.
//!
//! A contract has clauses, each of which wants certain witnesses and makes certain payments. All of it is in one
//! table; the witnesses and payments name the clause's arguments by their place.

use serde_json::{Value, json};

use super::Complaint;
use super::build::Move;
use super::field::amount;
use crate::input::Input;

struct Contract {
    name: &'static str,
    clauses: &'static [Clause],
    /// The selector of a contract's end, which is no clause.
    ending: Option<&'static str>,
}

struct Clause {
    /// What selects it, where there are several.
    selector: Option<&'static str>,
    /// Its arguments.
    takes: &'static [&'static str],
    witnesses: &'static [Witness],
    payments: &'static [Payment],
}

enum Witness {
    /// The argument at this place.
    Data(usize),
    /// A signature by the key of which root and path begin at this place.
    Signature(usize),
    /// The clause's selector.
    Selector,
}

enum Payment {
    /// The gas.
    Fee,
    /// What was locked goes to the program of `--program`.
    ToProgramFlag,
    /// What was locked goes to the program at this place.
    ToProgram(usize),
    /// The other asset is spent: account, asset and amount are the first three arguments.
    SpendOther,
    /// The other asset goes to the program that is the fourth argument.
    PayOther,
}

use Payment::{Fee, PayOther, SpendOther, ToProgram, ToProgramFlag};
use Witness::{Data, Selector, Signature};

const KEY: &[&str] = &["<rootPub>", "<path1>", "<path2>"];
const PROGRAM: &[&str] = &["<controlProgram>"];
const SIMPLE: &[Payment] = &[ToProgramFlag, Fee];

const CONTRACTS: &[Contract] = &[
    single("LockWithPublicKey", &[locked(KEY, &[Signature(0)])]),
    single(
        "LockWithMultiSig",
        &[locked(
            &[
                "<rootPub1>",
                "<path11>",
                "<path12>",
                "<rootPub2>",
                "<path21>",
                "<path22>",
            ],
            &[Signature(0), Signature(3)],
        )],
    ),
    single(
        "LockWithPublicKeyHash",
        &[locked(
            &["<pubKey>", "<rootPub>", "<path1>", "<path2>"],
            &[Data(0), Signature(1)],
        )],
    ),
    single("RevealPreimage", &[locked(&["<value>"], &[Data(0)])]),
    Contract {
        name: "TradeOffer",
        ending: Some("1a000000"),
        clauses: &[
            Clause {
                selector: Some("00000000"),
                takes: &[
                    "<innerAccountID|alias>",
                    "<innerAssetID|alias>",
                    "<innerAmount>",
                    "<innerProgram>",
                ],
                witnesses: &[Selector],
                payments: &[PayOther, SpendOther, Fee, ToProgramFlag],
            },
            Clause {
                selector: Some("13000000"),
                takes: KEY,
                witnesses: &[Signature(0), Selector],
                payments: SIMPLE,
            },
        ],
    },
    Contract {
        name: "Escrow",
        ending: Some("28000000"),
        clauses: &[escrow("00000000"), escrow("1a000000")],
    },
    Contract {
        name: "LoanCollateral",
        ending: Some("26000000"),
        clauses: &[
            Clause {
                selector: Some("00000000"),
                takes: &[
                    "<innerAccountID|alias>",
                    "<innerAssetID|alias>",
                    "<innerAmount>",
                    "<innerProgram>",
                    "<controlProgram>",
                ],
                witnesses: &[Selector],
                payments: &[PayOther, ToProgram(4), SpendOther, Fee],
            },
            released("1b000000"),
        ],
    },
    Contract {
        name: "CallOption",
        ending: Some("2c000000"),
        clauses: &[
            Clause {
                selector: Some("00000000"),
                takes: &[
                    "<innerAccountID|alias>",
                    "<innerAssetID|alias>",
                    "<innerAmount>",
                    "<innerProgram>",
                    "<rootPub>",
                    "<path1>",
                    "<path2>",
                ],
                witnesses: &[Signature(4), Selector],
                payments: &[PayOther, SpendOther, Fee, ToProgramFlag],
            },
            released("20000000"),
        ],
    },
];

const fn single(name: &'static str, clauses: &'static [Clause]) -> Contract {
    Contract {
        name,
        clauses,
        ending: None,
    }
}

const fn locked(takes: &'static [&'static str], witnesses: &'static [Witness]) -> Clause {
    Clause {
        selector: None,
        takes,
        witnesses,
        payments: SIMPLE,
    }
}

const fn escrow(selector: &'static str) -> Clause {
    Clause {
        selector: Some(selector),
        takes: &["<rootPub>", "<path1>", "<path2>", "<controlProgram>"],
        witnesses: &[Signature(0), Selector],
        payments: &[ToProgram(3), Fee],
    }
}

/// Time has passed: what was locked goes to the program that the contract names.
const fn released(selector: &'static str) -> Clause {
    Clause {
        selector: Some(selector),
        takes: PROGRAM,
        witnesses: &[Selector],
        payments: &[ToProgram(0), Fee],
    }
}

/// Arguments of the command before those of the clause: account, asset, amount, output.
const BEFORE: usize = 4;

/// The actions that spend the output.
pub(super) fn actions(
    input: &Input,
    locked: &Move<'_>,
    fee_neu: u64,
) -> Result<Vec<Value>, Complaint> {
    if input.arguments().len() < BEFORE {
        return Err(Complaint(format!(
            "{USAGE} <contract_argument> ... [flags]\n\n"
        )));
    }
    let name = input.flag("contract-name");
    let contract = CONTRACTS
        .iter()
        .find(|contract| contract.name == name)
        .ok_or_else(|| bad(&format!("Invalid contract template name [{name}]")))?;
    let (clause, arguments) = contract.clause(input.rest(BEFORE))?;
    let witnesses: Vec<_> = clause
        .witnesses
        .iter()
        .map(|witness| witness.argument(clause, arguments))
        .collect();
    let mut actions = vec![json!({
        "type": "spend_account_unspent_output",
        "output_id": input.argument(BEFORE - 1),
        "arguments": witnesses,
    })];
    for payment in clause.payments {
        actions.push(payment.action(input, locked, fee_neu, arguments)?);
    }
    Ok(actions)
}

impl Contract {
    /// The clause that is meant, and its arguments.
    fn clause<'a>(
        &self,
        arguments: &'a [String],
    ) -> Result<(&'static Clause, &'a [String]), Complaint>
    where
        Self: 'static,
    {
        let (clause, arguments) = match (self.ending, arguments) {
            (None, _) => (&self.clauses[0], arguments),
            (Some(_), []) => return Err(usage(&self.overview())),
            (Some(ending), [selector, ..]) if selector == ending => {
                return Err(bad(&format!(
                    "Clause ending was selected in contract {}, ending exit\n",
                    self.name
                )));
            }
            (Some(_), [selector, rest @ ..]) => {
                let clauses = self.clauses.iter();
                let mut of = clauses.filter(|clause| clause.selector == Some(selector));
                (of.next().ok_or_else(|| self.no_clause(selector))?, rest)
            }
        };
        if arguments.len() != clause.takes.len() {
            return Err(usage(&clause.usage()));
        }
        Ok((clause, arguments))
    }

    /// The arguments of all clauses.
    fn overview(&self) -> String {
        let mut ways: Vec<_> = self
            .clauses
            .iter()
            .map(|clause| clause.takes.join(" "))
            .collect();
        ways.dedup();
        match &ways[..] {
            [only] => format!("<clauseSelector> {only}"),
            several => format!("<clauseSelector> ({})", several.join(") | (")),
        }
    }

    fn no_clause(&self, selector: &str) -> Complaint {
        let selectors = self.clauses.iter().filter_map(|clause| clause.selector);
        let known: Vec<_> = selectors.chain(self.ending).collect();
        bad(&format!(
            "selected clause [{selector}] error, contract {}'s clause must in set [{}]\n",
            self.name,
            known.join(", ")
        ))
    }
}

impl Clause {
    fn usage(&self) -> String {
        let selector = self.selector.map(|_| "<clauseSelector>");
        let all: Vec<_> = selector
            .into_iter()
            .chain(self.takes.iter().copied())
            .collect();
        all.join(" ")
    }
}

impl Witness {
    fn argument(&self, clause: &Clause, arguments: &[String]) -> Value {
        let data = |value: &str| json!({ "type": "data", "raw_data": { "value": value } });
        match *self {
            Data(place) => data(&arguments[place]),
            Selector => data(clause.selector.unwrap_or_default()),
            Signature(place) => json!({
                "type": "raw_tx_signature",
                "raw_data": {
                    "xpub": arguments[place],
                    "derivation_path": [arguments[place + 1], arguments[place + 2]],
                },
            }),
        }
    }
}

impl Payment {
    fn action(
        &self,
        input: &Input,
        locked: &Move<'_>,
        fee_neu: u64,
        arguments: &[String],
    ) -> Result<Value, Complaint> {
        let other = || -> Result<Move<'_>, Complaint> {
            Ok(Move {
                naming: locked.naming,
                account: &arguments[0],
                asset: &arguments[1],
                amount: amount(&arguments[2])?,
            })
        };
        Ok(match *self {
            Fee => locked.fee(fee_neu),
            ToProgramFlag => locked.to_program(input.flag("program")),
            ToProgram(place) => locked.to_program(&arguments[place]),
            SpendOther => other()?.spend(),
            PayOther => other()?.to_program(&arguments[3]),
        })
    }
}

const USAGE: &str = "Usage:\n  batoncli build-transaction <accountID|alias> <assetID|alias> <amount> <outputID> -c <contractName>";

fn usage(arguments: &str) -> Complaint {
    bad(&format!("{USAGE} {arguments} [flags]\n"))
}

fn bad(what: &str) -> Complaint {
    Complaint(format!("{what}: bad contract arguments"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_only_arguments_that_are_there() {
        let build = crate::table::find("build-transaction").unwrap();
        let mut flags = build.flags.iter();
        let help = flags
            .find(|flag| flag.name == "contract-name")
            .unwrap()
            .help;
        for contract in CONTRACTS {
            assert!(help.contains(&format!("'{}'", contract.name)));
            assert_eq!(contract.ending.is_some(), contract.clauses.len() > 1);
            for clause in contract.clauses {
                let count = clause.takes.len();
                assert_eq!(clause.selector.is_some(), contract.ending.is_some());
                for witness in clause.witnesses {
                    assert!(match *witness {
                        Data(place) => place < count,
                        Signature(place) => place + 2 < count,
                        Selector => clause.selector.is_some(),
                    });
                }
                for payment in clause.payments {
                    assert!(match *payment {
                        Fee | ToProgramFlag => true,
                        ToProgram(place) => place < count,
                        SpendOther | PayOther => count >= 4,
                    });
                }
            }
        }
    }
}
