//! The manual pages.

use std::fs;
use std::path::Path;

use anyhow::anyhow;
use clap::CommandFactory;

use super::args::Cli;
use crate::commands::Outcome;
use crate::console;
use crate::ending::Ending;

/// Prints the page of `baton`, or writes a page for each command to a directory.
pub(crate) fn write(directory: Option<&Path>) -> Outcome {
    let command = Cli::command();
    let Some(directory) = directory else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command)
            .render(&mut page)
            .map_err(|e| anyhow!("making the page: {e}"))?;
        console::out(&String::from_utf8_lossy(&page));
        return Ok(Ending::Done);
    };
    fs::create_dir_all(directory).map_err(|e| anyhow!("making {}: {e}", directory.display()))?;
    clap_mangen::generate_to(command, directory)
        .map_err(|e| anyhow!("writing pages to {}: {e}", directory.display()))?;
    Ok(Ending::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_gets_a_page() {
        let dir = tempfile::tempdir().unwrap();
        let pages = dir.path().join("man1");
        write(Some(&pages)).unwrap();
        for command in Cli::command().get_subcommands() {
            let page = pages.join(format!("baton-{}.1", command.get_name()));
            assert!(page.is_file(), "{}", page.display());
        }
        assert!(
            fs::read_to_string(pages.join("baton.1"))
                .unwrap()
                .contains(".TH")
        );
    }
}
