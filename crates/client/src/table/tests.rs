use std::collections::BTreeSet;

use super::*;

#[test]
fn names_are_unique_and_well_formed() {
    let mut names = BTreeSet::new();
    for command in commands() {
        let is_name = |letter: u8| letter.is_ascii_lowercase() || letter == b'-';
        assert!(command.name.bytes().all(is_name), "{}", command.name);
        assert!(names.insert(command.name), "{} twice", command.name);
        assert!(!command.about.is_empty());
        let Arguments { min, max } = command.arguments;
        assert!(min <= max);
        assert_eq!(max == 0, command.usage.is_empty(), "{}", command.name);
    }
}

#[test]
fn flags_are_unique_and_known_to_those_who_read_them() {
    for command in commands() {
        let mut seen = BTreeSet::new();
        for flag in command.flags {
            assert!(seen.insert(flag.name), "--{} twice", flag.name);
            if let Some(letter) = flag.letter {
                assert!(letter != 'h');
            }
        }
        let Body::Fields(fields) = &command.body else {
            continue;
        };
        for field in *fields {
            match field.source {
                crate::Source::Flag(name) => assert!(seen.contains(name), "--{name}"),
                crate::Source::Argument(place) | crate::Source::Rest(place) => {
                    assert!(place < command.arguments.max, "{}", command.name);
                }
            }
        }
    }
}

#[test]
fn all_of_bytomcli_is_there() {
    let of = |origin| {
        commands()
            .filter(|command| command.origin == origin)
            .count()
    };
    // and `version`, which needs no node
    assert_eq!(of(Origin::Bytomcli), 49);
    assert_eq!(of(Origin::BytomcliV1), 4);
}
