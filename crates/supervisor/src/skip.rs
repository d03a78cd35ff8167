//! Which heights the operator told the node to skip: `--unsafe-skip-upgrades`.
//!
//! The flag is the node's own, so every form that a node accepts is understood: `10 20`,
//! `10,20`, `=10,20`, and the flag given more than once.

const FLAG: &str = "unsafe-skip-upgrades";

/// The heights to skip, in the order given.
pub fn heights(args: &[String]) -> Vec<u64> {
    let mut found = Vec::new();
    let args = args.iter();
    let mut in_list = false;
    for arg in args {
        let flag = arg
            .strip_prefix("--")
            .or_else(|| arg.strip_prefix('-'))
            .and_then(|rest| rest.strip_prefix(FLAG));
        match flag {
            Some("") => in_list = true,
            Some(rest) if rest.starts_with('=') => {
                in_list = true;
                found.extend(numbers(&rest[1..]));
            }
            _ if arg.starts_with('-') => in_list = false,
            _ if in_list => found.extend(numbers(arg)),
            _ => {}
        }
    }
    found
}

fn numbers(list: &str) -> impl Iterator<Item = u64> {
    list.trim_matches(['[', ']'])
        .split(',')
        .filter_map(|n| n.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upgrade_skip_heights() {
        for (args, want) in [
            (
                "appd start --unsafe-skip-upgrades 10 20 --abcd 34",
                vec![10, 20],
            ),
            (
                "appd start --unsafe-skip-upgrades 10 as 20 --abcd",
                vec![10, 20],
            ),
            (
                "appd start --unsafe-skip-upgrades=10,20 30",
                vec![10, 20, 30],
            ),
            ("appd start --unsafe-skip-upgrades 10,20", vec![10, 20]),
            (
                "appd start --unsafe-skip-upgrades 10 --x y --unsafe-skip-upgrades=20",
                vec![10, 20],
            ),
            ("appd start --unsafe-skip-upgrades", vec![]),
            ("appd start --unsafe-skip-upgrades --abcd 10", vec![]),
            ("appd start --abcd 34 10", vec![]),
            ("", vec![]),
        ] {
            let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
            assert_eq!(heights(&args), want, "{args:?}");
        }
    }
}
