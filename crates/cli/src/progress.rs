//! Progress bars, on a terminal only.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::Duration;

use baton_supervisor::telling::{Event, Observer};
use baton_supervisor::{backup, fetch};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Redraws a second.
const RATE: u8 = 8;

/// A bar for one long procedure.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar that counts bytes. Nothing is drawn where stderr is no terminal.
    pub(crate) fn bytes(what: &'static str) -> Self {
        Self::of(
            what,
            "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}, {eta} to go",
        )
    }

    /// The same for blocks.
    pub(crate) fn blocks(what: &'static str) -> Self {
        Self::of(
            what,
            "{msg} {wide_bar} block {pos}/{len} {per_sec}, {eta} to go",
        )
    }

    fn of(what: &'static str, template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(RATE));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self(bar)
    }

    /// So much is done.
    pub(crate) fn set(&self, done: u64, total: Option<u64>) {
        if let Some(total) = total {
            self.0.set_length(total);
        }
        self.0.set_position(done);
    }

    /// Removes the bar.
    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}

impl backup::Observer for Bar {
    fn progress(&self, progress: backup::Progress) {
        self.set(progress.bytes_done, Some(progress.bytes_total));
    }
}

impl fetch::Observer for Bar {
    fn progress(&self, progress: &fetch::Progress) -> ControlFlow<()> {
        if progress.step == fetch::Step::Downloading {
            self.set(progress.bytes, progress.total);
        }
        ControlFlow::Continue(())
    }
}

/// Shows the backups and downloads of a supervisor; none where stderr is no terminal.
pub(crate) fn of_supervisor() -> Option<Observer> {
    if ProgressDrawTarget::stderr().is_hidden() {
        return None;
    }
    let shown: Mutex<Option<Bar>> = Mutex::new(None);
    Some(std::sync::Arc::new(move |event: &Event| {
        let Ok(mut shown) = shown.lock() else { return };
        let (what, done, total) = match event {
            Event::BackupProgress {
                bytes_done,
                bytes_total,
                ..
            } => ("backing up", *bytes_done, Some(*bytes_total)),
            Event::PrefetchProgress {
                bytes_done,
                bytes_total,
                ..
            } => ("downloading", *bytes_done, *bytes_total),
            _ => {
                // Whatever else happens comes after the end of the procedure.
                if let Some(bar) = shown.take() {
                    bar.end();
                }
                return;
            }
        };
        let bar = shown.get_or_insert_with(|| {
            let bar = Bar::bytes(what);
            bar.0.enable_steady_tick(Duration::from_secs(1));
            bar
        });
        bar.set(done, total);
    }))
}
