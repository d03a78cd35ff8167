//! The batch list: plans that an operator made in advance, one after another.
//!
//! Pure: from the list and the state of things comes what to do with it. The list never
//! overwrites a plan that is still to come, be it from governance, and an entry whose height has
//! passed is set aside and told, not stuck.

use crate::plan::{Plan, PlanError};

/// What to do with the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Nothing now.
    Nothing,
    /// Make this the plan; the rest stays in the list.
    Write(Plan, Vec<Plan>),
    /// These were missed; set them aside, the rest stays in the list.
    Missed(Vec<Plan>, Vec<Plan>),
}

/// Reads the list, lowest height first.
pub fn parse(text: &[u8]) -> Result<Vec<Plan>, PlanError> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let values: Vec<serde_json::Value> = serde_json::from_slice(text).map_err(|e| {
        if e.is_eof() {
            PlanError::Incomplete(e.to_string())
        } else {
            PlanError::Malformed(e.to_string())
        }
    })?;
    let mut plans = values
        .iter()
        .map(Plan::from_value)
        .collect::<Result<Vec<_>, _>>()?;
    plans.sort_by_key(|plan| plan.height);
    Ok(plans)
}

/// The list as `add-batch-upgrade` writes it: an array, two spaces deep.
pub fn to_json(plans: &[Plan]) -> String {
    let entries: Vec<serde_json::Value> = plans
        .iter()
        .map(|plan| serde_json::from_str(&plan.to_json()).expect("a plan is valid JSON"))
        .collect();
    serde_json::to_string_pretty(&entries).expect("an array can always be encoded")
}

/// What the list wants, given whether a plan is still to come (`pending`), whether the release
/// that runs has been confirmed (`settled`), its plan's height, and the chain's height if known.
pub fn turn(
    list: &[Plan],
    pending: bool,
    settled: bool,
    running_height: Option<u64>,
    height: Option<u64>,
) -> Turn {
    let passed = |plan: &&Plan| {
        height.is_some_and(|height| plan.height < height)
            || running_height.is_some_and(|running| plan.height <= running)
    };
    let missed: Vec<Plan> = list.iter().filter(passed).cloned().collect();
    if !missed.is_empty() {
        let rest = list.iter().filter(|plan| !passed(plan)).cloned().collect();
        return Turn::Missed(missed, rest);
    }
    // The new binary still reads the plan file at its start, so it stays until it is confirmed.
    match list.split_first() {
        Some((next, rest)) if settled && !pending => Turn::Write(next.clone(), rest.to_vec()),
        _ => Turn::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(name: &str, height: u64) -> Plan {
        Plan {
            name: name.to_owned(),
            height,
            info: String::new(),
        }
    }

    #[test]
    fn the_list_is_read_sorted_and_written_back() {
        let list = [plan("a", 5), plan("b", 9)];
        let text = r#"[{"name":"b","height":9},{"name":"a","height":"5"}]"#;
        assert_eq!(parse(text.as_bytes()).unwrap(), list);
        assert_eq!(parse(to_json(&list).as_bytes()).unwrap(), list);
        assert_eq!(parse(b"").unwrap(), []);
        assert!(matches!(parse(b"[{"), Err(PlanError::Incomplete(_))));
        assert!(matches!(parse(b"{}"), Err(PlanError::Malformed(_))));
    }

    #[test]
    fn the_next_entry_is_written_when_nothing_else_is_to_come() {
        let list = [plan("a", 5), plan("b", 9)];
        let next = Turn::Write(plan("a", 5), vec![plan("b", 9)]);
        assert_eq!(
            turn(&list, false, true, None, None),
            next,
            "no height needed"
        );
        assert_eq!(turn(&list, false, true, None, Some(5)), next);
        assert_eq!(turn(&list, true, true, None, Some(1)), Turn::Nothing);
        assert_eq!(turn(&list, false, false, None, Some(1)), Turn::Nothing);
        assert_eq!(turn(&[], false, true, None, Some(1)), Turn::Nothing);
    }

    #[test]
    fn what_was_missed_is_set_aside() {
        let list = [plan("a", 5), plan("b", 9)];
        let missed = Turn::Missed(vec![plan("a", 5)], vec![plan("b", 9)]);
        assert_eq!(turn(&list, false, true, None, Some(6)), missed);
        assert_eq!(turn(&list, true, true, Some(5), None), missed);
    }
}
