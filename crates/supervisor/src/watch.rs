//! Watching the data directory for plans: file-system events where there are any, and the poll
//! interval for file systems that have none.

use std::path::Path;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Watches as long as it lives.
#[derive(Debug)]
pub struct Watch {
    _watcher: RecommendedWatcher,
}

/// Wakes `receiver` whenever one of the named files in `directory` may have changed. An error
/// means that only polling is left.
pub fn watch(
    directory: &Path,
    names: &'static [&'static str],
) -> Result<(Watch, mpsc::Receiver<()>), notify::Error> {
    // One waiting wake-up stands for any number of changes.
    let (sender, receiver) = mpsc::channel(1);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let concerns_us = match event {
            Ok(event) => {
                event.need_rescan()
                    || (!matches!(event.kind, EventKind::Access(_))
                        && event.paths.iter().any(|path| {
                            path.file_name()
                                .and_then(|name| name.to_str())
                                .is_some_and(|name| names.contains(&name))
                        }))
            }
            Err(_) => true,
        };
        if concerns_us {
            let _ = sender.try_send(());
        }
    })?;
    // A data directory that is a link is watched where it really lies.
    let real = std::fs::canonicalize(directory).map_err(notify::Error::io)?;
    watcher.watch(&real, RecursiveMode::NonRecursive)?;
    Ok((Watch { _watcher: watcher }, receiver))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn only_the_named_files_wake() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        let real = dir.path().join("real");
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        let (_watch, mut events) = watch(&link, &["upgrade-info.json"]).unwrap();
        std::fs::write(real.join("other"), "x").unwrap();
        std::fs::write(real.join("upgrade-info.json"), "x").unwrap();
        tokio::time::timeout(Duration::from_secs(10), events.recv())
            .await
            .expect("woken")
            .expect("still watching");
    }
}
