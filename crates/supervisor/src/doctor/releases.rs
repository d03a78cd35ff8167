//! Are the releases and the link in order, and can an upgrade write where it must?

use super::Findings;
use super::facts::{Access, Binary, Current, Home};
use super::plans::unfit;
use crate::layout::Release;

pub(super) fn judge(home: &Home, findings: &mut Findings) {
    access(home, findings);
    current(home, findings);
    directories(home, findings);
}

fn access(home: &Home, findings: &mut Findings) {
    if home.user != home.owner {
        findings.warn(
            "user",
            format!(
                "doctor runs as user {}, but the home belongs to user {}: what follows about rights is true for the former",
                home.user, home.owner
            ),
            "run it as the user that runs the node",
        );
    }
    let mut writable = true;
    for (path, access) in &home.written {
        if let Access::Refused(why) = access {
            writable = false;
            findings.fail(
                "home-writable",
                format!("{} cannot be written to: {why}", path.display()),
                format!(
                    "let the user that runs the node write to {}",
                    path.display()
                ),
            );
        }
    }
    // A home that is not there is told with the settings.
    if let Some((root, _)) = home.written.first().filter(|_| writable) {
        findings.ok("home-writable", root.display().to_string());
    }
}

fn current(home: &Home, findings: &mut Findings) {
    match &home.current {
        Current::To(release @ (Release::Genesis | Release::Upgrade(_))) => {
            findings.ok("current-link", format!("points to {}", release.label()));
        }
        Current::Unmade => findings.ok(
            "current-link",
            "not there yet; the next start makes it point to genesis",
        ),
        Current::To(Release::Elsewhere(path)) => findings.warn(
            "current-link",
            format!("points out of the home, to {}", path.display()),
            "that works, but `rollback` and guides expect genesis or upgrades/<name>",
        ),
        Current::Wrong(why) => findings.fail(
            "current-link",
            why,
            "point it to the release that the chain is at: ln -sfn upgrades/<name> current",
        ),
    }
    let release = match &home.current {
        Current::To(release) => release,
        Current::Unmade => &Release::Genesis,
        Current::Wrong(_) => return,
    };
    let label = release.label();
    match &home.current_binary {
        Binary::Runs => findings.ok("current-binary", label),
        Binary::NotMarked { ours: true } => findings.ok(
            "current-binary",
            format!("{label}; not marked as executable, which the next start mends"),
        ),
        other => findings.fail(
            "current-binary",
            format!("the binary of {label} cannot run: {}", unfit(other)),
            format!(
                "put the chain's binary to {}",
                home.config.layout().bin(release).display()
            ),
        ),
    }
}

fn directories(home: &Home, findings: &mut Findings) {
    let mut found = false;
    for directory in &home.releases {
        let name = &directory.name;
        // Told where the plan is.
        if let Some(looked_for) = &directory.looked_for {
            found = true;
            findings.warn(
                "releases",
                format!("upgrades/{name} is never used: for an upgrade of that name, upgrades/{looked_for} is looked for"),
                format!("rename it to {looked_for}, or set COSMOVISOR_DISABLE_RECASE=true"),
            );
        } else if directory.binary == Binary::Missing {
            found = true;
            findings.warn(
                "releases",
                format!(
                    "upgrades/{name} has no bin/{}: left over from something that did not end",
                    home.config.name
                ),
                "add the binary with `baton add-upgrade`, or remove the directory",
            );
        }
    }
    if !found {
        let count = home.releases.len();
        findings.ok("releases", format!("{count} in upgrades/"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Directory;
    use super::super::testing::{Home as Given, assert_fails, assert_oks, assert_warns};
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn what_cannot_be_written_to_is_told() {
        let mut home = Given::good();
        home.user = home.owner + 1;
        home.written.push((
            PathBuf::from("/h/cosmovisor/upgrades/v2"),
            Access::Refused("permission denied".to_owned()),
        ));
        assert_warns(&home.facts(), "user", "belongs to user");
        assert_fails(&home.facts(), "home-writable", "upgrades/v2");
    }

    #[test]
    fn the_link_and_its_binary_are_looked_at() {
        let mut home = Given::good();
        home.current = Current::Unmade;
        assert_oks(&home.facts(), "current-link", "not there yet");
        home.current = Current::To(Release::Elsewhere(PathBuf::from("/opt/v2")));
        assert_warns(&home.facts(), "current-link", "/opt/v2");
        home.current_binary = Binary::Unfit("it is an HTML page".to_owned());
        assert_fails(&home.facts(), "current-binary", "HTML");
        home.current_binary = Binary::NotMarked { ours: false };
        assert_fails(&home.facts(), "current-binary", "not marked");
        home.current_binary = Binary::NotMarked { ours: true };
        assert_oks(&home.facts(), "current-binary", "mends");
        home.current = Current::Wrong("points to nothing".to_owned());
        assert_fails(&home.facts(), "current-link", "points to nothing");
    }

    #[test]
    fn directories_that_are_of_no_use_are_told() {
        let mut home = Given::good();
        home.releases = vec![
            Directory {
                name: "V2".to_owned(),
                binary: Binary::Runs,
                looked_for: Some("v2".to_owned()),
            },
            Directory {
                name: "v3".to_owned(),
                binary: Binary::Missing,
                looked_for: None,
            },
        ];
        assert_warns(&home.facts(), "releases", "upgrades/V2 is never used");
        assert_warns(&home.facts(), "releases", "upgrades/v3 has no bin/simd");
    }
}
