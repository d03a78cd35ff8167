//! The guard on a disk that crashes, ages and lies.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::file::{RECORD, RECORDS};
use super::*;
use crate::key::tests::key;

const DOMAIN: Domain = Domain([9; 32]);

struct Home {
    directory: tempfile::TempDir,
    key: NodeKey,
}

impl Home {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            key: key(1),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("guard")
    }

    fn open(&self) -> Result<Guard, GuardError> {
        Guard::open(&self.path(), &self.key, DOMAIN, 0, false)
    }
}

fn mark(height: u64, round: u32, step: Step, block: u8) -> Mark {
    Mark {
        place: Place {
            height,
            round,
            step,
        },
        block: (block > 0).then_some(BlockId([block; 32])),
        pol_round: None,
    }
}

fn message(mark: Mark) -> Vec<u8> {
    mark.to_string().into_bytes()
}

fn sign(home: &Home, guard: &Guard, mark: Mark) -> Result<Signature, Refusal> {
    guard.sign(&home.key, mark, &message(mark))
}

#[test]
fn the_same_again_yields_the_same_and_anything_else_is_refused() {
    let home = Home::new();
    let guard = home.open().unwrap();
    let prevote = mark(5, 0, Step::Prevote, 1);
    let signature = sign(&home, &guard, prevote).unwrap();
    assert_eq!(sign(&home, &guard, prevote).unwrap(), signature);
    for other in [2, 0] {
        let refusal = sign(&home, &guard, mark(5, 0, Step::Prevote, other)).unwrap_err();
        assert!(matches!(refusal, Refusal::Conflict { .. }), "{refusal}");
    }
    let polka = Mark {
        pol_round: Some(0),
        ..mark(5, 1, Step::Proposal, 1)
    };
    sign(&home, &guard, polka).unwrap();
    let refusal = sign(&home, &guard, mark(5, 1, Step::Proposal, 1)).unwrap_err();
    assert!(matches!(refusal, Refusal::Conflict { .. }), "{refusal}");
    let counts = guard.counts();
    assert_eq!((counts.signed, counts.repeated, counts.refused), (2, 1, 3));
    // two for a new file and its directory, and one for each signature
    assert_eq!(counts.flushes, 4);
}

#[test]
fn what_lies_before_the_last_is_refused_unless_it_was_signed() {
    let home = Home::new();
    let guard = home.open().unwrap();
    sign(&home, &guard, mark(5, 1, Step::Precommit, 1)).unwrap();
    for past in [
        mark(5, 1, Step::Prevote, 1),
        mark(5, 0, Step::Precommit, 1),
        mark(4, 9, Step::Precommit, 1),
    ] {
        let refusal = sign(&home, &guard, past).unwrap_err();
        assert!(matches!(refusal, Refusal::Past { .. }), "{refusal}");
    }
    sign(&home, &guard, mark(6, 0, Step::Proposal, 1)).unwrap();
    // the height before is remembered, the one before that is not
    sign(&home, &guard, mark(5, 1, Step::Precommit, 1)).unwrap();
    sign(&home, &guard, mark(7, 0, Step::Proposal, 1)).unwrap();
    let refusal = sign(&home, &guard, mark(5, 1, Step::Precommit, 1)).unwrap_err();
    assert!(matches!(refusal, Refusal::Past { .. }), "{refusal}");
}

#[test]
fn what_was_precommitted_is_known() {
    let home = Home::new();
    let guard = home.open().unwrap();
    sign(&home, &guard, mark(5, 0, Step::Precommit, 1)).unwrap();
    sign(&home, &guard, mark(5, 1, Step::Precommit, 0)).unwrap();
    sign(&home, &guard, mark(6, 0, Step::Prevote, 2)).unwrap();
    drop(guard);
    let guard = home.open().unwrap();
    assert_eq!(guard.precommitted(5), Some(BlockId([1; 32])));
    assert_eq!(guard.precommitted(6), None);
    sign(&home, &guard, mark(6, 2, Step::Precommit, 3)).unwrap();
    assert_eq!(guard.precommitted(6), Some(BlockId([3; 32])));
}

#[test]
fn a_restart_forgets_nothing() {
    let home = Home::new();
    let precommit = mark(5, 2, Step::Precommit, 1);
    let signature = sign(&home, &home.open().unwrap(), precommit).unwrap();
    let guard = home.open().unwrap();
    assert_eq!(guard.highest(), 5);
    assert_eq!(sign(&home, &guard, precommit).unwrap(), signature);
    assert!(sign(&home, &guard, mark(5, 2, Step::Precommit, 0)).is_err());
    assert!(sign(&home, &guard, mark(5, 1, Step::Prevote, 0)).is_err());
    // one process at a time
    assert!(matches!(home.open(), Err(GuardError::Held { .. })));
    guard.close();
    let refusal = sign(&home, &guard, mark(6, 0, Step::Prevote, 0)).unwrap_err();
    assert!(matches!(refusal, Refusal::Closed { .. }), "{refusal}");
    home.open().unwrap();
}

#[test]
fn a_full_file_is_replaced_by_what_is_of_use() {
    let home = Home::new();
    let guard = home.open().unwrap();
    guard.raise(3).unwrap();
    let heights = RECORDS as u64 + 100;
    for height in 4..heights {
        sign(&home, &guard, mark(height, 0, Step::Prevote, 1)).unwrap();
    }
    drop(guard);
    let size = fs::metadata(home.path()).unwrap().len();
    assert_eq!(size, (RECORD * RECORDS) as u64);
    let guard = home.open().unwrap();
    assert!(sign(&home, &guard, mark(heights - 1, 0, Step::Prevote, 2)).is_err());
    assert!(sign(&home, &guard, mark(heights - 2, 0, Step::Prevote, 1)).is_ok());
    let low = sign(&home, &guard, mark(3, 0, Step::Prevote, 1)).unwrap_err();
    assert!(matches!(low, Refusal::Floor { floor: 3, .. }), "{low}");
}

#[test]
fn a_full_file_for_which_there_is_no_room_waits_for_it() {
    let home = Home::new();
    let guard = home.open().unwrap();
    let beside = home.path().with_extension("new");
    fs::create_dir(&beside).unwrap();
    let mut height = 1;
    let refusal = loop {
        match sign(&home, &guard, mark(height, 0, Step::Prevote, 1)) {
            Ok(_) => height += 1,
            Err(refusal) => break refusal,
        }
    };
    assert!(matches!(refusal, Refusal::Unwritten(_)), "{refusal}");
    assert!(height + 10 > RECORDS as u64, "{height}");
    // what was signed is repeated, and nothing else is signed
    sign(&home, &guard, mark(height - 1, 0, Step::Prevote, 1)).unwrap();
    assert!(sign(&home, &guard, mark(height - 1, 0, Step::Prevote, 2)).is_err());
    assert!(sign(&home, &guard, mark(height, 0, Step::Prevote, 1)).is_err());
    fs::remove_dir(&beside).unwrap();
    sign(&home, &guard, mark(height, 0, Step::Prevote, 2)).unwrap();
    drop(guard);
    assert_eq!(home.open().unwrap().highest(), height);
}

#[test]
fn a_lost_guard_signs_nothing_for_the_next_height() {
    let home = Home::new();
    let open = |tip, alone| Guard::open(&home.path(), &home.key, DOMAIN, tip, alone).unwrap();
    let guard = open(7, false);
    let refusal = sign(&home, &guard, mark(8, 3, Step::Prevote, 1)).unwrap_err();
    assert!(
        matches!(refusal, Refusal::Floor { floor: 8, .. }),
        "{refusal}"
    );
    sign(&home, &guard, mark(9, 0, Step::Prevote, 1)).unwrap();
    drop(guard);
    // it remembers that
    let refusal = sign(&home, &open(7, false), mark(8, 3, Step::Prevote, 1)).unwrap_err();
    assert!(matches!(refusal, Refusal::Floor { .. }), "{refusal}");
    // who is alone can be in nobody's way
    fs::remove_file(home.path()).unwrap();
    sign(&home, &open(7, true), mark(8, 0, Step::Prevote, 1)).unwrap();
}

#[test]
fn a_guard_of_another_key_or_chain_is_not_used() {
    let home = Home::new();
    drop(home.open().unwrap());
    let path = home.path();
    let other = Guard::open(&path, &key(2), DOMAIN, 0, false).unwrap_err();
    assert!(
        matches!(other, GuardError::Foreign { what: "key", .. }),
        "{other}"
    );
    let other = Guard::open(&path, &home.key, Domain([8; 32]), 0, false).unwrap_err();
    assert!(
        matches!(other, GuardError::Foreign { what: "chain", .. }),
        "{other}"
    );
}

/// A guard with three signatures, as bytes.
fn three() -> (Home, Vec<u8>) {
    let home = Home::new();
    let guard = home.open().unwrap();
    for height in 5..8 {
        sign(&home, &guard, mark(height, 0, Step::Prevote, 1)).unwrap();
    }
    drop(guard);
    let bytes = fs::read(home.path()).unwrap();
    (home, bytes)
}

/// A name and what is done to the bytes.
type Damage = (&'static str, Box<dyn Fn(&mut Vec<u8>)>);

#[test]
fn a_crash_amid_an_append_is_harmless_and_damage_is_not() {
    let (home, bytes) = three();
    // the record of a crash is there as a whole, or not at all
    let mut torn = bytes.clone();
    torn[3 * RECORD..4 * RECORD].fill(0);
    fs::write(home.path(), &torn).unwrap();
    let guard = home.open().unwrap();
    assert_eq!(guard.highest(), 6);
    sign(&home, &guard, mark(7, 0, Step::Prevote, 2)).unwrap();
    drop(guard);

    let damage: [Damage; 5] = [
        (
            "a record before others is gone",
            Box::new(|bytes| bytes[2 * RECORD..3 * RECORD].fill(0)),
        ),
        (
            "the last record has another byte",
            Box::new(|bytes| bytes[3 * RECORD + 20] ^= 1),
        ),
        ("a version of later", Box::new(|bytes| bytes[19] = 2)),
        (
            "shortened",
            Box::new(|bytes| bytes.truncate(3 * RECORD + 50)),
        ),
        ("empty", Box::new(Vec::clear)),
    ];
    for (what, damage) in damage {
        let mut damaged = bytes.clone();
        damage(&mut damaged);
        fs::write(home.path(), &damaged).unwrap();
        let error = home.open().expect_err(what);
        assert!(
            matches!(error, GuardError::Damaged { .. }),
            "{what}: {error}"
        );
    }
}

#[test]
fn a_half_made_file_is_not_taken_for_the_guard() {
    let (home, _) = three();
    fs::write(home.path().with_extension("new"), b"half").unwrap();
    assert_eq!(home.open().unwrap().highest(), 7);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is asked, in whatever order, with restarts: one place has one signature.
    #[test]
    fn one_place_one_signature(asked in proptest::collection::vec((1..4u64, 0..3u32, 0..3u8, 0..3u8, any::<bool>()), 1..60)) {
        let home = Home::new();
        let mut guard = home.open().unwrap();
        let mut given = BTreeMap::new();
        for (height, round, step, block, restart) in asked {
            if restart {
                drop(guard);
                guard = home.open().unwrap();
            }
            let step = [Step::Proposal, Step::Prevote, Step::Precommit][usize::from(step)];
            let mark = mark(height, round, step, block);
            if let Ok(signature) = sign(&home, &guard, mark) {
                prop_assert_eq!(*given.entry(mark.place).or_insert((mark, signature)), (mark, signature));
            }
        }
    }

    /// Any one changed bit in what was written is noticed, or changes nothing.
    #[test]
    fn no_bit_can_change(bit in 0..4 * RECORD * 8) {
        let (home, mut bytes) = three();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(home.path(), &bytes).unwrap();
        prop_assert!(home.open().is_err());
    }
}
