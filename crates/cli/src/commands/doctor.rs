//! `doctor`: what would make the next upgrade fail.

use baton_supervisor::doctor::{Verdict, gather, judge};

use super::{Outcome, runtime};
use crate::console;
use crate::context::Context;
use crate::ending::Ending;

/// What `doctor` is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Looks at the home, and tells.
pub(crate) fn doctor(context: &Context, args: &DoctorArgs) -> Outcome {
    let facts = runtime()?.block_on(gather(context.config_file.as_deref(), &context.env));
    let report = judge(&facts);
    console::out(&if args.json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        report.render_text()
    });
    Ok(match report.verdict {
        Verdict::Ok | Verdict::Warn => Ending::Done,
        Verdict::Fail => Ending::Wrong,
    })
}
