//! What a node answers, and what of it is printed.

use std::fmt::Write;

use crate::input::Input;
use crate::json::Json;
use crate::table::Answer;

/// A node's answer, out of its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It did it; with data or without.
    Done(Option<Json>),
    /// It did not.
    Failed {
        /// Such as `BTM709`; may be empty.
        code: String,
        /// The code in words; may be empty.
        message: String,
        /// What exactly was wrong; may be empty.
        detail: String,
    },
}

impl Reply {
    /// Reads an answer; an error says why it is none.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let text = str::from_utf8(body).map_err(|error| error.to_string())?;
        let json = Json::read(text).map_err(|error| error.to_string())?;
        let text = |key| json.field(key).and_then(Json::text).unwrap_or_default();
        match text("status") {
            "" => Err("it has no status".to_owned()),
            "fail" => Ok(Self::Failed {
                code: text("code").to_owned(),
                message: text("msg").to_owned(),
                detail: text("error_detail").to_owned(),
            }),
            _ => Ok(Self::Done(json.field("data").cloned())),
        }
    }
}

/// The data is not of the kind that the command prints. The text is bytomcli's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid type assertion")]
pub struct WrongType;

impl Answer {
    /// What is printed before the node is even asked.
    pub(crate) fn preface(self) -> &'static str {
        match self {
            Self::Signed => "\n\n",
            _ => "",
        }
    }

    /// What is printed of the data.
    pub(crate) fn print(self, input: &Input, data: Option<&Json>) -> Result<String, WrongType> {
        Ok(match self {
            Self::Said(sentence) => line(sentence),
            Self::Switched(on, off) => {
                let is_on = input.argument(0).eq_ignore_ascii_case("true");
                line(if is_on { on } else { off })
            }
            Self::Any => data.map(|data| line(&data.pretty())).unwrap_or_default(),
            Self::List => numbered(data)?,
            Self::Object => line(&object(data)?.pretty()),
            Self::Template | Self::Signed if input.is_on("pretty") => line(&object(data)?.pretty()),
            Self::Template => {
                let kind = input.flag("type");
                format!("Template Type: {kind}\n{}\n", object(data)?.compact())
            }
            Self::Signed => format!("\nSign Template:\n{}\n", object(data)?.compact()),
        })
    }
}

fn object(data: Option<&Json>) -> Result<&Json, WrongType> {
    data.filter(|data| matches!(data, Json::Object(_)))
        .ok_or(WrongType)
}

fn numbered(data: Option<&Json>) -> Result<String, WrongType> {
    let Some(Json::List(items)) = data else {
        return Err(WrongType);
    };
    let mut text = String::new();
    for (number, item) in items.iter().enumerate() {
        writeln!(text, "{number} :\n{}", item.pretty()).expect("a string takes all");
    }
    Ok(text)
}

fn line(text: &str) -> String {
    format!("{text}\n")
}
