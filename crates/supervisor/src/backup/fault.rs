//! Fault points, compiled in by the feature `failpoints` only.
//!
//! The action `return` ends the process on the spot, as kill -9 would; `return(28)` makes the step
//! fail with that error number.

/// A place where a test may end the process or inject an error.
macro_rules! fault {
    ($name:literal, $path:expr) => {
        // The feature is this crate's: that another crate has switched on `fail`'s means nothing here.
        #[cfg(feature = "failpoints")]
        {
            fail::fail_point!($name, |what| Err($crate::backup::fault::injected(
                $name, what, $path
            )
            .into()))
        }
    };
}

#[cfg(feature = "failpoints")]
pub(super) fn injected(
    name: &'static str,
    what: Option<String>,
    path: &std::path::Path,
) -> super::BackupError {
    let Some(number) = what else {
        std::process::abort();
    };
    let number = number
        .parse()
        .unwrap_or_else(|_| panic!("{name}: return takes an error number"));
    super::BackupError::at(name, path, std::io::Error::from_raw_os_error(number))
}
