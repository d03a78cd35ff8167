//! How things stand, for a person who was just woken: the verdict first, then one aligned line
//! per thing, and what to do where something is wrong.

use std::fmt::Write;
use std::time::Duration;

use super::status::{
    Backup, Disk, Exit, LastChange, LastUpgrade, Node, NodeState, PendingPlan, Progress, Standing,
    Status, Step, Upgrade, UpgradeResult,
};
use super::time::Time;
use super::words::{self, bytes, span};

/// The text of `baton status`, for the instant `now`.
pub fn render_text(status: &Status, now: Time) -> String {
    let mut page = Page::default();
    page.line("", &capitalised(&status.headline()));
    page.blank();
    node(&mut page, &status.node, now);
    if let Some(plan) = &status.plan {
        pending(&mut page, plan, status.node.height_at, now);
    } else {
        page.line("plan", "none");
    }
    if let Some(upgrade) = &status.upgrade {
        under_way(&mut page, upgrade, now);
    }
    if let Some(standing) = &status.standing {
        stands(&mut page, standing, now);
    }
    if let Some(last) = &status.last_upgrade {
        ended(&mut page, last);
    }
    if let Some(last) = &status.last_change {
        changed(&mut page, last);
    }
    backups(&mut page, &status.backups);
    let told = status.standing.as_ref().map(|standing| standing.since);
    if let Some(error) = status.last_error.as_ref().filter(|e| Some(e.at) != told) {
        page.line("last error", &error.text);
        page.line(
            "",
            &format!("{}, {}", error.at.to_the_second(), ago(error.at, now)),
        );
        if !error.what_to_do.is_empty() {
            page.line("", &format!("to do: {}", error.what_to_do));
        }
    }
    let supervisor = &status.supervisor;
    page.line(
        "supervisor",
        &format!(
            "baton {}, pid {}, up {}, {} in {}",
            supervisor.version,
            supervisor.pid,
            span(now.since(supervisor.since)),
            supervisor.name,
            supervisor.home.display()
        ),
    );
    if let Some(address) = &supervisor.admin_address {
        page.line("", &format!("metrics at http://{address}/metrics"));
    }
    for (key, value) in &supervisor.config {
        page.line("", &format!("{key}={value}"));
    }
    page.0
}

fn node(page: &mut Page, node: &Node, now: Time) {
    let since = node.since.map(|t| span(now.since(t)));
    let since = since.as_deref().unwrap_or("?");
    let pid = node.pid.map_or_else(|| "?".to_owned(), |p| p.to_string());
    let state = match node.state {
        NodeState::NotStarted => "not started yet".to_owned(),
        NodeState::Running => {
            format!("pid {pid}, up {since}, generation {}", node.generation)
        }
        NodeState::Stopping => format!("pid {pid}, asked to stop {since} ago"),
        NodeState::Restarting => format!("ended {since} ago, to be started again"),
        NodeState::Down => format!("down for {since}"),
    };
    page.line("node", &state);
    if let Some(exit) = node.last_exit.as_ref().filter(|_| node.pid.is_none()) {
        page.line("", &ended_how(exit));
    }
    if node.restarts > 0 {
        page.line("", &format!("restarted {} times", node.restarts));
    }
    if let Some(release) = &node.release {
        page.line("release", release);
    }
    if let Some(binary) = &node.binary {
        page.line("", &binary.display().to_string());
    }
    if node.hands_over {
        page.line("", "can hand over to the next process");
    }
    if !node.leaving.is_empty() {
        let pids: Vec<String> = node.leaving.iter().map(u32::to_string).collect();
        let pids = pids.join(", ");
        page.line("", &format!("pid {pids} has handed over and finishes"));
    }
    match (node.height, node.height_at) {
        (Some(height), Some(at)) => {
            let mut text = format!(
                "{height}, from {}, {}",
                node.height_source.as_deref().unwrap_or("?"),
                ago(at, now)
            );
            if let Some(ms) = node.block_time_ms {
                let _ = write!(
                    text,
                    ", a block every {}.{} s",
                    ms / 1_000,
                    ms % 1_000 / 100
                );
            }
            page.line("height", &text);
        }
        _ => page.line("height", "not known yet"),
    }
}

fn pending(page: &mut Page, plan: &PendingPlan, height_at: Option<Time>, now: Time) {
    let mut text = format!("{} at height {}", plan.name, plan.height);
    match (plan.blocks_to_go, plan.estimated_seconds) {
        (Some(0), _) => text.push_str(", reached"),
        (Some(blocks), Some(seconds)) => {
            // Reckoned when the height was read, which may be a while ago.
            let reckoned = height_at.unwrap_or(now);
            let due = reckoned.after(Duration::from_secs(seconds));
            let _ = write!(
                text,
                ", {blocks} blocks to go, in about {} ({})",
                span(due.since(now)),
                due.to_the_minute()
            );
        }
        (Some(blocks), None) => {
            let _ = write!(text, ", {blocks} blocks to go");
        }
        (None, _) => {}
    }
    page.line("plan", &text);
    if let Some(why) = &plan.waiting_for {
        page.line("", &format!("waiting: {why}"));
    }
    page.line(
        "",
        match (plan.fetched, plan.verified, &plan.progress) {
            (true, true, _) => "binary in place, checksum right",
            (true, false, _) => "binary in place, no checksum was given",
            (false, _, Some(_)) => "binary is being fetched",
            (false, _, None) => "binary not fetched",
        },
    );
    if let Some(progress) = &plan.progress {
        page.line("", &how_far(progress));
    }
    if let Some(Disk { needed, free }) = plan.disk {
        page.line(
            "",
            &format!(
                "disk: {} needed, {} free{}",
                bytes(needed),
                bytes(free),
                if needed > free { ": NOT ENOUGH" } else { "" }
            ),
        );
    }
}

fn under_way(page: &mut Page, upgrade: &Upgrade, now: Time) {
    page.line(
        "upgrade",
        &format!(
            "{} at height {}: {} since {}",
            upgrade.name,
            upgrade.height,
            upgrade.step,
            span(now.since(upgrade.since))
        ),
    );
    if let Some(progress) = &upgrade.progress {
        page.line("", &how_far(progress));
    }
    steps(page, &upgrade.steps);
}

fn stands(page: &mut Page, standing: &Standing, now: Time) {
    page.line(
        "upgrade",
        &format!(
            "{} at height {}: failed at {} {}",
            standing.name,
            standing.height,
            standing.step,
            ago(standing.since, now)
        ),
    );
    page.line("", &standing.error);
    page.line("", &format!("to do: {}", standing.what_to_do));
}

fn changed(page: &mut Page, last: &LastChange) {
    page.line("last change", &last.change.sentence());
    page.line("", &last.at.to_the_second());
    let phases = last
        .change
        .phases
        .iter()
        .map(|phase| (&phase.phase, phase.took));
    let phases: Vec<_> = phases.collect();
    let width = phases.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, took) in phases {
        page.line("", &format!("  {name:<width$}  {}", words::short(took)));
    }
}

fn ended(page: &mut Page, last: &LastUpgrade) {
    let mut text = last.name.clone();
    if let Some(height) = last.height {
        let _ = write!(text, " at height {height}");
    }
    text.push_str(match last.result {
        UpgradeResult::Confirmed => ", confirmed ",
        UpgradeResult::Failed => ", FAILED ",
        UpgradeResult::RolledBack => ", ROLLED BACK ",
    });
    text.push_str(&last.at.to_the_second());
    if let Some(how) = last.how {
        let _ = write!(text, ", {}", how.text());
    }
    for (what, ms) in [("pause", last.pause_ms), ("in all", last.total_ms)] {
        if let Some(ms) = ms {
            let _ = write!(text, ", {what} {}", span(Duration::from_millis(ms)));
        }
    }
    page.line("last upgrade", &text);
    steps(page, &last.steps);
}

fn steps(page: &mut Page, steps: &[Step]) {
    let width = steps.iter().map(|s| s.step.len()).max().unwrap_or(0);
    for step in steps {
        page.line("", &format!("  {:<width$}  {}", step.step, span(step.took)));
    }
}

fn backups(page: &mut Page, backups: &[Backup]) {
    let Some(newest) = backups.last() else {
        page.line("backups", "none known");
        return;
    };
    page.line(
        "backups",
        &format!("{}, newest {}", backups.len(), newest.path.display()),
    );
    page.line(
        "",
        &format!(
            "{}, {}, {} files, {}",
            newest.mode,
            bytes(newest.bytes),
            newest.files,
            newest.at.to_the_second()
        ),
    );
}

/// How a process of the node ended: `exited with code 0 after 1 h 0 min, as asked`.
pub fn ended_how(exit: &Exit) -> String {
    format!(
        "{} after {}{}",
        super::event_text::ending(exit.code, exit.signal),
        span(exit.ran_for),
        if exit.asked { ", as asked" } else { "" }
    )
}

/// How far a backup or a download is: `backup: 4.0 GiB of 10.0 GiB (40 %), 2000 of 5000 files`.
pub fn how_far(progress: &Progress) -> String {
    let mut text = format!("{}: {}", progress.what, bytes(progress.bytes_done));
    if let Some(total) = progress.bytes_total {
        let _ = write!(text, " of {}", bytes(total));
        if let Some(percent) =
            (u128::from(progress.bytes_done) * 100).checked_div(u128::from(total))
        {
            let _ = write!(text, " ({percent} %)");
        }
    }
    if let (Some(done), Some(total)) = (progress.files_done, progress.files_total) {
        let _ = write!(text, ", {done} of {total} files");
    }
    text
}

/// For how long it has been so: `2.0 s ago`.
pub fn ago(at: Time, now: Time) -> String {
    format!("{} ago", span(now.since(at)))
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

/// Lines of a key and a value, the values below each other.
#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, key: &str, value: &str) {
        let value = words::one_line(value);
        if key.is_empty() && self.0.is_empty() {
            self.0.push_str(&value);
        } else {
            let _ = write!(self.0, "{key:<14}{value}");
        }
        self.0.push('\n');
    }

    fn blank(&mut self) {
        self.0.push('\n');
    }
}

#[cfg(test)]
#[path = "status_text_tests.rs"]
mod tests;
