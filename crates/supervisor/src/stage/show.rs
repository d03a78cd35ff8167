//! `show-upgrade-info`: the plan file as it is. Monitoring reads it line by line.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use crate::config::go_text::io_error;
use crate::layout::Layout;
use crate::plan::MAX_PLAN_BYTES;

/// Why the plan file is not shown.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// It cannot be read.
    #[error("failed to read upgrade-info.json: {doing} {}: {}", .path.display(), io_error(.source))]
    Read {
        /// Opening or reading.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no plan file.
    #[error(
        "failed to read upgrade-info.json: {} is larger than {MAX_PLAN_BYTES} bytes, so it is no plan",
        .0.display()
    )]
    TooLarge(PathBuf),
}

/// The content of the plan file, or that there is none.
pub fn show(layout: &Layout) -> Result<String, ShowError> {
    let path = layout.plan_file();
    let failed = |doing| {
        let path = path.clone();
        move |source| ShowError::Read {
            doing,
            path,
            source,
        }
    };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Ok(format!("No upgrade info found at {}", path.display()));
        }
        Err(e) => return Err(failed("open")(e)),
    };
    let mut content = Vec::new();
    let read = file.take(MAX_PLAN_BYTES + 1).read_to_end(&mut content);
    read.map_err(failed("read"))?;
    if content.len() as u64 > MAX_PLAN_BYTES {
        return Err(ShowError::TooLarge(path));
    }
    Ok(String::from_utf8_lossy(&content).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::testing::Home;
    use std::fs;

    #[test]
    fn the_file_is_shown_as_it_is_or_that_there_is_none() {
        let home = Home::new();
        let layout = home.config.layout();
        let file = home.at("data/upgrade-info.json");
        assert_eq!(
            show(&layout).unwrap(),
            format!("No upgrade info found at {}", file.display())
        );
        fs::write(&file, "{\"name\": half").unwrap();
        assert_eq!(show(&layout).unwrap(), "{\"name\": half");
    }

    #[test]
    fn what_cannot_be_shown_is_named() {
        let home = Home::new();
        let layout = home.config.layout();
        let file = home.at("data/upgrade-info.json");
        fs::create_dir(&file).unwrap();
        assert_eq!(
            show(&layout).unwrap_err().to_string(),
            format!(
                "failed to read upgrade-info.json: read {}: is a directory",
                file.display()
            )
        );
        fs::remove_dir(&file).unwrap();
        let sparse = File::create(&file).unwrap();
        sparse.set_len(1 << 40).unwrap();
        let error = show(&layout).unwrap_err().to_string();
        assert!(error.contains("larger than 1048576 bytes"), "{error}");
    }
}
