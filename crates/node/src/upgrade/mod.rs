//! Upgrades that the federation planned: what this program can do, and how it halts before what it cannot.

mod halt;
mod migrations;
mod planner;

pub(crate) use halt::halt;
pub use halt::{HaltError, InfoFile};
pub use migrations::{migrations, practise};
pub(crate) use planner::Planner;
pub use planner::{Choice, PlannerError, Signed};
