//! What is shown, before it has a place: cards of rows of text.

/// How something is meant: each becomes a colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be, and not worth a word.
    #[default]
    Plain,
    /// Of less importance.
    Quiet,
    /// Good news.
    Good,
    /// Under way.
    Busy,
    /// Somebody should look.
    Warn,
    /// Somebody has to act.
    Bad,
}

/// Where a card stands if there is room for two columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// One thing and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) title: String,
    pub(crate) tone: Tone,
    pub(crate) side: Side,
    pub(crate) rows: Vec<Row>,
}

/// One line of a card, or more if its value is long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) tone: Tone,
    /// The first to go where room is scarce.
    pub(crate) is_detail: bool,
}

impl Card {
    pub(crate) fn new(title: impl Into<String>, side: Side) -> Self {
        Self {
            title: title.into(),
            tone: Tone::Plain,
            side,
            rows: Vec::new(),
        }
    }

    pub(crate) fn toned(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    /// Adds a row that stays as long as the card does.
    pub(crate) fn row(&mut self, key: &str, value: impl Into<String>, tone: Tone) {
        self.push(key, value.into(), tone, false);
    }

    /// Adds a row that goes where room is scarce.
    pub(crate) fn detail(&mut self, key: &str, value: impl Into<String>) {
        self.push(key, value.into(), Tone::Quiet, true);
    }

    fn push(&mut self, key: &str, value: String, tone: Tone, is_detail: bool) {
        self.rows.push(Row {
            key: key.to_owned(),
            value,
            tone,
            is_detail,
        });
    }
}
