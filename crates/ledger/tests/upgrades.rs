//! The federation plans upgrades; at their height nothing goes without a migration.

mod support;

use std::collections::BTreeMap;

use baton_ledger::state::{
    Aids, ApplyError, BlockRejection, Changes, Key as Record, Migration, apply, read,
};
use baton_ledger::upgrade::{Decision, Message, Plan, PlanError, SignedMessage, Vote};
use baton_ledger::{Block, Mapped, Params, program};
use support::chain::{BTM, Chain, FEE, chain, federation, params, spending};
use support::{Key, pay};

/// A plan message, signed by these members, in a retirement.
fn planning(chain: &Chain, position: usize, message: &Message, members: &[usize]) -> Mapped {
    let genesis = chain.start.block.hash();
    let hash = message.signature_hash(&chain.params().chain_id, &genesis);
    let vote = |member: &usize| Vote {
        member: *member,
        signature: federation()[*member]
            .sign(hash.as_bytes())
            .try_into()
            .unwrap(),
    };
    let signed = SignedMessage {
        message: message.clone(),
        votes: members.iter().map(vote).collect(),
    };
    carrying(chain, position, signed.program())
}

fn carrying(chain: &Chain, position: usize, program: Vec<u8>) -> Mapped {
    let change = pay(1000 * BTM - 10 * FEE, Key::new(1).program());
    spending(chain, position, vec![pay(1, program), change])
}

fn schedule(sequence: u64, name: &str, height: u64) -> Message {
    let plan = Plan {
        name: name.to_owned(),
        height,
        info: "{}".to_owned(),
    };
    Message {
        sequence,
        decision: Decision::Schedule(plan),
    }
}

fn cancel(sequence: u64, name: &str) -> Message {
    let name = name.to_owned();
    Message {
        sequence,
        decision: Decision::Cancel { name },
    }
}

#[test]
fn a_quorum_of_the_federation_schedules_and_cancels() {
    let mut chain = chain();
    let refused = |chain: &Chain, message: &Message, members: &[usize]| match chain
        .rejection(&[planning(chain, 0, message, members)])
    {
        BlockRejection::Plan {
            index: 1,
            position: 0,
            error,
        } => error,
        other => panic!("{other}"),
    };
    let message = schedule(0, "v2", 9);
    let quorum = PlanError::Quorum {
        signed: 2,
        quorum: 3,
    };
    assert_eq!(refused(&chain, &message, &[0, 1]), quorum);
    let member = PlanError::Member {
        member: 1,
        members: 4,
    };
    assert_eq!(refused(&chain, &message, &[0, 1, 1]), member);
    let member = PlanError::Member {
        member: 0,
        members: 4,
    };
    assert_eq!(refused(&chain, &message, &[1, 2, 0]), member);
    assert_eq!(
        refused(&chain, &schedule(1, "v2", 9), &[0, 1, 2]),
        PlanError::Sequence {
            found: 1,
            wanted: 0
        }
    );
    assert_eq!(
        refused(&chain, &schedule(0, "v2", 2), &[0, 1, 2]),
        PlanError::Height { plan: 2, block: 2 }
    );
    for name in ["", ".", "../x", "a b", "é", "-x", &"x".repeat(65)] {
        assert_eq!(
            refused(&chain, &schedule(0, name, 9), &[0, 1, 2]),
            PlanError::Name(name.to_owned())
        );
    }
    assert_eq!(
        refused(&chain, &cancel(0, "v2"), &[0, 1, 2]),
        PlanError::NoPlan("v2".to_owned())
    );

    let scheduling = planning(&chain, 0, &message, &[0, 1, 3]);
    let applied = chain.commit(std::slice::from_ref(&scheduling));
    let Decision::Schedule(plan) = &message.decision else {
        unreachable!()
    };
    assert_eq!(applied.effects.plan_changed, Some(Some(plan.clone())));
    assert_eq!(
        read(&chain.state, &Record::Plan).unwrap().as_ref(),
        Some(plan)
    );
    // not twice
    let again = carrying(
        &chain,
        1,
        scheduling.transaction().outputs[0].control_program.clone(),
    );
    assert!(matches!(
        chain.rejection(&[again]),
        BlockRejection::Plan {
            error: PlanError::Sequence {
                found: 0,
                wanted: 1
            },
            ..
        }
    ));
    let giving_up = planning(&chain, 1, &cancel(1, "v2"), &[1, 2, 3]);
    let applied = chain.commit(&[giving_up]);
    assert_eq!(applied.effects.plan_changed, Some(None));
    assert_eq!(read::<_, Plan>(&chain.state, &Record::Plan).unwrap(), None);
    chain.run_to(10);
}

#[test]
fn a_plan_is_for_its_own_chain() {
    let mut ours = chain();
    let theirs = Params {
        chain_id: "theirs".to_owned(),
        ..params()
    };
    let mut theirs = Chain::new(theirs, vec![pay(1000 * BTM, Key::new(1).program()); 3]);
    theirs.run_to(1);
    ours.run_to(1);
    let message = planning(&theirs, 0, &schedule(0, "v2", 9), &[0, 1, 2]);
    let program = message.transaction().outputs[0].control_program.clone();
    assert!(theirs.apply(&theirs.block(&[message])).is_ok());
    assert!(matches!(
        ours.rejection(&[carrying(&ours, 0, program)]),
        BlockRejection::Plan {
            error: PlanError::Signature(0),
            ..
        }
    ));
}

#[test]
fn damaged_messages_are_refused_and_other_remarks_are_not_read() {
    let chain = chain();
    let good = planning(&chain, 0, &schedule(0, "v2", 9), &[0, 1, 2]);
    let program = good.transaction().outputs[0].control_program.clone();
    let message = SignedMessage::in_program(&program).unwrap().unwrap();
    assert_eq!(message.program(), program);
    assert_eq!(message.message, schedule(0, "v2", 9));
    let mut surplus = program.clone();
    surplus.push(0x51);
    assert_eq!(
        SignedMessage::in_program(&surplus),
        Some(Err(PlanError::Surplus))
    );
    // every cut of the message is refused, none panics
    let whole = vm_data(&program);
    for len in 16..whole.len() {
        let cut = program::retire(&whole[..len]);
        assert!(SignedMessage::in_program(&cut).unwrap().is_err(), "{len}");
    }
    for other in [
        program::retire(b"baton"),
        program::retire(b""),
        vec![0x51],
        vec![],
    ] {
        assert_eq!(SignedMessage::in_program(&other), None);
    }
}

/// What a retirement pushes.
fn vm_data(program: &[u8]) -> Vec<u8> {
    let mut parsed = baton_ledger::vm::instructions(&program[1..]);
    parsed.next().unwrap().unwrap().data.to_vec()
}

#[test]
fn an_upgrade_is_done_once_at_its_height() {
    let mut chain = chain();
    let applied = chain.commit(&[planning(&chain, 0, &schedule(0, "v2", 4), &[0, 1, 2])]);
    assert_eq!(applied.effects.upgrade_due, None);
    let applied = chain.commit(&[]);
    assert_eq!(applied.effects.upgrade_due.unwrap().name, "v2");
    // at the height nothing goes without the migration
    let block = chain.block(&[]);
    let Err(ApplyError::UpgradeNeeded(plan)) = chain.apply(&block) else {
        panic!("an upgrade")
    };
    assert_eq!(
        (plan.name.as_str(), plan.height, plan.info.as_str()),
        ("v2", 4, "{}")
    );
    let error = chain.apply(&block).unwrap_err().to_string();
    assert_eq!(error, "UPGRADE \"v2\" NEEDED at height: 4: {}");
    let mut migration = Migration {
        name: "v3".to_owned(),
        changes: Changes(BTreeMap::from([(
            b"xnew".to_vec(),
            Some(b"record".to_vec()),
        )])),
    };
    let with = |chain: &Chain, migration: &Migration, block: &Block| {
        let aids = Aids {
            migration: Some(migration),
            ..Aids::default()
        };
        apply(&chain.state, chain.params(), block, aids)
    };
    assert!(matches!(
        with(&chain, &migration, &block),
        Err(ApplyError::UpgradeNeeded(_))
    ));
    migration.name = "v2".to_owned();
    let applied = with(&chain, &migration, &block).unwrap();
    assert_eq!(applied.effects.upgraded.as_ref(), Some(&plan));
    assert_eq!(
        applied.changes.0[&b"xnew".to_vec()],
        Some(b"record".to_vec())
    );
    // what it changes is part of the AppHash
    let idle = Migration {
        name: "v2".to_owned(),
        ..Migration::default()
    };
    assert_ne!(
        with(&chain, &idle, &block).unwrap().app_hash(),
        applied.app_hash()
    );

    chain.state.commit(&applied.changes, applied.tip);
    assert_eq!(
        read(&chain.state, &Record::Done("v2")).unwrap(),
        Some(4_u64)
    );
    let block = chain.block(&[]);
    assert!(matches!(
        with(&chain, &migration, &block),
        Err(ApplyError::NotDue { height: 5, .. })
    ));
    chain.run_to(6);
    let again = planning(&chain, 1, &schedule(1, "v2", 20), &[0, 1, 2]);
    assert!(matches!(
        chain.rejection(&[again]),
        BlockRejection::Plan {
            error: PlanError::Done { height: 4, .. },
            ..
        }
    ));
}
