//! Which rows of which cards have room, and how their text is broken into lines.

use baton_supervisor::telling::words::one_line;

use super::card::{Card, Row};

/// The columns of a row's key, with the space after it.
pub(super) const KEY: usize = 10;

/// The most lines of one row where there is room, where there is less, and where there is hardly any; what is longer ends in an
/// ellipsis.
const LINES: [usize; 4] = [12, 4, 3, 2];

/// So many cards are kept in sight before the texts in them are.
const FIRST: usize = 2;

/// A card with its text broken into lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fitted {
    pub(super) card: Card,
    /// For each row its lines.
    pub(super) lines: Vec<Vec<String>>,
}

impl Fitted {
    /// The lines that it takes, its title among them.
    pub(super) fn height(&self) -> usize {
        1 + self.lines.iter().map(Vec::len).sum::<usize>()
    }
}

/// What of the cards fits below each other into so much room: details go first, those of the last cards before those of the
/// first; then long texts are cut, and whole cards go from the end; then the end of the one that is left.
pub(super) fn fit(cards: Vec<Card>, width: usize, height: usize) -> Vec<Fitted> {
    let mut fitted = broken(cards, width, LINES[0]);
    for index in (0..fitted.len()).rev() {
        if total(&fitted) <= height {
            return fitted;
        }
        let mut card = fitted[index].card.clone();
        card.rows.retain(|row| !row.is_detail);
        fitted[index] = one(card, width, LINES[0]);
    }
    let cards: Vec<Card> = fitted.into_iter().map(|fitted| fitted.card).collect();
    let mut fitted = Vec::new();
    for most in LINES {
        fitted = broken(cards.clone(), width, most);
        if total(&fitted[..fitted.len().min(FIRST)]) <= height {
            break;
        }
    }
    while total(&fitted) > height && fitted.len() > 1 {
        fitted.pop();
    }
    while total(&fitted) > height && fitted.iter_mut().any(|only| only.lines.pop().is_some()) {}
    fitted
}

fn total(cards: &[Fitted]) -> usize {
    cards.iter().map(Fitted::height).sum()
}

fn broken(cards: Vec<Card>, width: usize, most: usize) -> Vec<Fitted> {
    cards
        .into_iter()
        .map(|card| one(card, width, most))
        .collect()
}

fn one(card: Card, width: usize, most: usize) -> Fitted {
    let room = width.saturating_sub(key_width(&card)).max(1);
    let lines = card.rows.iter().map(|row| lines(row, room, most)).collect();
    Fitted { card, lines }
}

fn lines(row: &Row, room: usize, most: usize) -> Vec<String> {
    let options = textwrap::Options::new(room).word_separator(textwrap::WordSeparator::AsciiSpace);
    let mut lines: Vec<String> = textwrap::wrap(&one_line(&row.value), options)
        .into_iter()
        .map(std::borrow::Cow::into_owned)
        .collect();
    if lines.len() > most {
        lines.truncate(most);
        let last = lines.last_mut().expect("there are that many");
        let mut cut: String = last.chars().take(room.saturating_sub(1)).collect();
        cut.push('…');
        *last = cut;
    }
    lines
}

/// The columns of the keys of a card: usually the same, more if one is long.
pub(super) fn key_width(card: &Card) -> usize {
    let keys = card
        .rows
        .iter()
        .map(|row| textwrap::core::display_width(&row.key) + 2);
    keys.max().unwrap_or(0).max(KEY)
}

#[cfg(test)]
mod tests {
    use super::super::card::{Side, Tone};
    use super::*;

    fn card(title: &str) -> Card {
        let mut card = Card::new(title, Side::Left);
        card.row("a", "kept", Tone::Plain);
        card.detail("b", "goes first");
        card
    }

    fn shape(fitted: &[Fitted]) -> Vec<(&str, usize)> {
        let shape = fitted.iter().map(|f| (f.card.title.as_str(), f.height()));
        shape.collect()
    }

    #[test]
    fn details_go_first_then_the_last_cards() {
        let cards = || vec![card("x"), card("y"), card("z")];
        for (height, wanted) in [
            (9, vec![("x", 3), ("y", 3), ("z", 3)]),
            (8, vec![("x", 3), ("y", 3), ("z", 2)]),
            (6, vec![("x", 2), ("y", 2), ("z", 2)]),
            (5, vec![("x", 2), ("y", 2)]),
            (2, vec![("x", 2)]),
            (1, vec![("x", 1)]),
        ] {
            assert_eq!(shape(&fit(cards(), 40, height)), wanted, "{height}");
        }
        assert_eq!(fit(Vec::new(), 40, 1), []);
    }

    #[test]
    fn long_text_is_broken_and_ends() {
        let mut card = Card::new("error", Side::Left);
        card.row("what", "no room for the backup", Tone::Bad);
        let fitted = fit(vec![card], KEY + 10, 9);
        assert_eq!(fitted[0].lines[0], ["no room", "for the", "backup"]);

        let mut card = Card::new("error", Side::Left);
        card.row("what", "x".repeat(100), Tone::Bad);
        let text = |height| fit(vec![card.clone()], KEY + 10, height)[0].lines[0].clone();
        assert_eq!(text(20).len(), 10, "it is whole where there is room");
        assert_eq!(text(5).len(), 4);
        assert_eq!(text(5)[3], "xxxxxxxxx…");
        assert_eq!(text(3)[1], "xxxxxxxxx…");
    }
}
