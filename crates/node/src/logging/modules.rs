//! Which file an event goes to: bytomd's modules, by where in the program the event comes from.

/// The modules.
pub(super) const ALL: [&str; 9] = [
    "general",
    "api",
    "p2p",
    "consensus",
    "protocol",
    "wallet",
    "tracer",
    "handover",
    "cmd",
];

/// The module of an event's target.
pub(super) fn of(target: &str) -> &'static str {
    let root = target.split("::").next().unwrap_or(target);
    match root {
        "baton_api" | "axum" | "hyper" | "tower_http" => "api",
        "baton_network" => "p2p",
        "baton_chain" if target.contains("::trace") => "tracer",
        "baton_chain" | "baton_ledger" => "protocol",
        "baton_consensus" => "consensus",
        "baton_wallet" => "wallet",
        "baton_handover" => "handover",
        "baton_node" if target.contains("::wallet") => "wallet",
        "baton_node" if target.contains("::gossip") => "p2p",
        root if root.starts_with("libp2p") => "p2p",
        root if root.starts_with("arc_malachite") || root.starts_with("ractor") => "consensus",
        _ => "general",
    }
}

/// Whether an event comes from this project, whose information is meant for operators.
pub(super) fn is_own(target: &str) -> bool {
    target.starts_with("baton") || target.starts_with("batond")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_modules() {
        for (target, module) in [
            ("baton_api::serve", "api"),
            ("libp2p_gossipsub::behaviour", "p2p"),
            ("baton_chain::trace::follow", "tracer"),
            ("baton_chain::commit", "protocol"),
            ("arc_malachitebft_engine", "consensus"),
            ("baton_node::life", "general"),
            ("baton_node::wallet", "wallet"),
            ("something", "general"),
        ] {
            assert_eq!(of(target), module, "{target}");
            assert!(ALL.contains(&module));
        }
    }
}
