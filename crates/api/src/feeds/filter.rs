//! The language of filters, bytomd v1's: conditions with `AND` between them.
//!
//! ```text
//! filter    = [ condition { "AND" condition } ]
//! condition = attribute "=" ( "'" text "'" | number )
//! attribute = "asset_id" | "amount_lower_limit" | "amount_upper_limit" | "trans_type"
//! ```

use std::str::FromStr;

use baton_ledger::AssetId;
use serde::{Deserialize, Serialize};

use super::MAX_TEXT_LEN;

/// What is looked for. In JSON as bytomd v1's; what is not looked for is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Param {
    /// An asset, in hexadecimal.
    #[serde(rename = "assetid", skip_serializing_if = "String::is_empty")]
    pub asset_id: String,
    /// At least so much of it.
    #[serde(rename = "lowerlimit", skip_serializing_if = "Option::is_none")]
    pub lower_limit: Option<u64>,
    /// At most so much of it.
    #[serde(rename = "upperlimit", skip_serializing_if = "Option::is_none")]
    pub upper_limit: Option<u64>,
    /// A type of input (`spend`, `issue`, `coinbase`, `veto`) or output (`control`, `retire`, `vote`).
    #[serde(rename = "transtype", skip_serializing_if = "String::is_empty")]
    pub trans_type: String,
}

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It is too long.
    #[error("a filter has at most {MAX_TEXT_LEN} bytes, this has {0}: invalid query filter")]
    Long(usize),
    /// A condition is not one.
    #[error(
        "{0:?} is not like asset_id='…', amount_lower_limit=1 or trans_type='spend', with AND between them: invalid query filter"
    )]
    Form(String),
    /// There is no such attribute.
    #[error("invalid attribute: {0}: invalid query filter")]
    Attribute(String),
    /// The value is not one of the attribute.
    #[error("{attribute} cannot be {value}: invalid query filter")]
    Value {
        /// The attribute.
        attribute: String,
        /// The value.
        value: String,
    },
    /// An attribute has two values.
    #[error("{0} is given twice: invalid query filter")]
    Twice(String),
}

const TYPES: [&str; 7] = [
    "spend", "issue", "coinbase", "veto", "control", "retire", "vote",
];

enum Value {
    Text(String),
    Number(u64),
}

impl Param {
    /// Whether so much of an asset is within the limits.
    pub(super) fn holds(&self, asset: &AssetId, amount: u64) -> bool {
        let asset_fits = self.asset_id.is_empty() || self.asset_id.parse() == Ok(*asset);
        asset_fits
            && self.lower_limit.is_none_or(|limit| amount >= limit)
            && self.upper_limit.is_none_or(|limit| amount <= limit)
    }

    fn set(&mut self, attribute: &str, value: &Value) -> Result<(), FilterError> {
        let is_new = match (attribute, value) {
            ("asset_id", Value::Text(id)) if id.parse::<AssetId>().is_ok() => {
                std::mem::replace(&mut self.asset_id, id.to_ascii_lowercase()).is_empty()
            }
            ("trans_type", Value::Text(kind)) if TYPES.contains(&kind.as_str()) => {
                std::mem::replace(&mut self.trans_type, kind.clone()).is_empty()
            }
            ("amount_lower_limit", Value::Number(limit)) => {
                self.lower_limit.replace(*limit).is_none()
            }
            ("amount_upper_limit", Value::Number(limit)) => {
                self.upper_limit.replace(*limit).is_none()
            }
            ("asset_id" | "trans_type" | "amount_lower_limit" | "amount_upper_limit", _) => {
                return Err(FilterError::Value {
                    attribute: attribute.to_owned(),
                    value: match value {
                        Value::Text(text) => format!("'{text}'"),
                        Value::Number(number) => number.to_string(),
                    },
                });
            }
            _ => return Err(FilterError::Attribute(attribute.to_owned())),
        };
        if is_new {
            Ok(())
        } else {
            Err(FilterError::Twice(attribute.to_owned()))
        }
    }
}

impl FromStr for Param {
    type Err = FilterError;

    fn from_str(filter: &str) -> Result<Self, FilterError> {
        if filter.len() > MAX_TEXT_LEN {
            return Err(FilterError::Long(filter.len()));
        }
        let mut param = Self::default();
        let mut rest = filter.trim();
        while !rest.is_empty() {
            let malformed = || FilterError::Form(rest.to_owned());
            let (attribute, after) = rest.split_once('=').ok_or_else(malformed)?;
            let after = after.trim_start();
            let (value, after) = if let Some(quoted) = after.strip_prefix('\'') {
                let (text, after) = quoted.split_once('\'').ok_or_else(malformed)?;
                (Value::Text(text.to_owned()), after)
            } else {
                let end = after.find(|c: char| !c.is_ascii_digit());
                let (digits, after) = after.split_at(end.unwrap_or(after.len()));
                (
                    Value::Number(digits.parse().map_err(|_| malformed())?),
                    after,
                )
            };
            param.set(attribute.trim_end(), &value)?;
            let next = after.trim_start();
            if next.is_empty() {
                break;
            }
            let (and, following) = next.split_once(char::is_whitespace).ok_or_else(malformed)?;
            if !and.eq_ignore_ascii_case("and") || following.trim().is_empty() {
                return Err(malformed());
            }
            rest = following.trim();
        }
        Ok(param)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read() {
        let id = "ff".repeat(32);
        let filter = format!(
            "asset_id='{id}' AND amount_lower_limit = 50 and  amount_upper_limit=100 AND trans_type = 'spend'"
        );
        let param: Param = filter.parse().unwrap();
        assert_eq!(
            serde_json::to_string(&param).unwrap(),
            format!(r#"{{"assetid":"{id}","lowerlimit":50,"upperlimit":100,"transtype":"spend"}}"#)
        );
        assert_eq!("  ".parse(), Ok(Param::default()));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let told = |filter: &str| filter.parse::<Param>().unwrap_err().to_string();
        assert_eq!(told("x=1"), "invalid attribute: x: invalid query filter");
        assert_eq!(
            told("asset_id='ff'"),
            "asset_id cannot be 'ff': invalid query filter"
        );
        assert_eq!(
            told("amount_lower_limit='5'"),
            "amount_lower_limit cannot be '5': invalid query filter"
        );
        assert_eq!(
            told("trans_type=7"),
            "trans_type cannot be 7: invalid query filter"
        );
        assert_eq!(
            told("amount_lower_limit=1 AND amount_lower_limit=2"),
            "amount_lower_limit is given twice: invalid query filter"
        );
        for malformed in [
            "asset_id",
            "asset_id='ff",
            "amount_lower_limit=",
            "amount_lower_limit=1 OR amount_upper_limit=2",
            "amount_lower_limit=1 AND",
            "amount_lower_limit=1 AND ",
            "amount_lower_limit=99999999999999999999999",
            "amount_lower_limit=-1",
        ] {
            let told = told(malformed);
            assert!(
                told.ends_with("invalid query filter"),
                "{malformed}: {told}"
            );
        }
        assert!(told(&" ".repeat(2_000)).contains("at most"));
    }
}
