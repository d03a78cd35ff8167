//! The screen: a function of what is known and of the terminal's size, of nothing else.

use std::borrow::Cow;

use baton_supervisor::telling::event::{Event, Record};
use baton_supervisor::telling::words::{one_line, span};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Margin, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::card::{Card, Side, Tone};
use super::cards;
use super::fit::{self, Fitted};
use super::model::{Link, Model};

/// From this width on there are two columns of cards.
const TWO_COLUMNS: u16 = 100;

/// The least lines of the time-line, with its title.
const LEAST_EVENTS: u16 = 5;

const KEYS: &str = " q quit   ↑ ↓ PgUp PgDn scroll   ? help";

const HELP: &[&str] = &[
    "q, Esc, Ctrl-C   leave",
    "↑ ↓, k j         scroll the events by a line",
    "PgUp PgDn        by ten",
    "Home End, g G    to the oldest, to the newest",
    "?                this help",
    "",
    "Nothing here changes anything.",
    "See too: baton status, baton events, baton doctor",
];

/// Draws all of it.
pub(crate) fn view(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    let [top, middle, keys] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(header(model, area.width)), top);
    let events = LEAST_EVENTS.max(middle.height / 3);
    let room = middle.height.saturating_sub(events);
    let used = draw_cards(
        model,
        frame,
        Rect {
            height: room,
            ..middle
        },
    );
    let below = Rect {
        y: middle.y + used,
        height: middle.height - used,
        ..middle
    };
    draw_events(model, frame, below);
    let hint = Line::styled(KEYS, style(Tone::Quiet));
    frame.render_widget(Paragraph::new(hint), keys);
    if model.help {
        draw_help(frame, area);
    }
}

/// Who it is about, whether it is of now, and the verdict.
fn header(model: &Model, width: u16) -> Vec<Line<'static>> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let clock = model.now.to_the_second();
    let (word, tone) = match &model.link {
        Link::Live => ("live", Tone::Good),
        Link::Asking => ("connecting", Tone::Busy),
        Link::Gone { .. } => ("NO SUPERVISOR", Tone::Bad),
    };
    let right = format!("{} {word} ", &clock[11..19]);
    let name = model
        .status
        .as_ref()
        .map_or("", |s| s.supervisor.name.as_str());
    let left = format!(" baton top  {name} {}", model.home.display());
    let room = usize::from(width).saturating_sub(right.chars().count());
    let left = format!("{:<room$}", cut(&one_line(&left), room));
    let first = Line::from(vec![
        Span::styled(left, bold),
        Span::styled(right, style(tone)),
    ]);
    let second = match (&model.link, &model.status) {
        (Link::Gone { since, why }, _) => {
            let for_ = span(model.now.since(*since));
            let text = format!(" for {for_}: {}; below, what was known last", one_line(why));
            Line::styled(text, style(Tone::Bad))
        }
        (_, Some(status)) => {
            let tone = style(cards::verdict(status)).add_modifier(Modifier::BOLD);
            Line::styled(format!(" {}", one_line(&status.headline())), tone)
        }
        (_, None) => Line::styled(" asking the supervisor", style(Tone::Quiet)),
    };
    vec![first, second]
}

/// Draws as many cards as fit; the lines that they took.
fn draw_cards(model: &Model, frame: &mut Frame<'_>, area: Rect) -> u16 {
    let cards = cards::all(model);
    if area.width < TWO_COLUMNS {
        return draw_column(cards, frame, area);
    }
    let (left, right): (Vec<Card>, Vec<Card>) =
        cards.into_iter().partition(|c| c.side == Side::Left);
    let [first, second] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)])
        .spacing(1)
        .areas(area);
    draw_column(left, frame, first).max(draw_column(right, frame, second))
}

fn draw_column(cards: Vec<Card>, frame: &mut Frame<'_>, area: Rect) -> u16 {
    // A column is free on either side.
    let width = usize::from(area.width).saturating_sub(2);
    let fitted = fit::fit(cards, width, area.height.into());
    let lines: Vec<Line<'_>> = fitted.iter().flat_map(|card| drawn(card, width)).collect();
    let used = u16::try_from(lines.len())
        .unwrap_or(u16::MAX)
        .min(area.height);
    frame.render_widget(Paragraph::new(lines), area);
    used
}

fn drawn(fitted: &Fitted, width: usize) -> Vec<Line<'static>> {
    let card = &fitted.card;
    let mut lines = vec![title(&card.title, card.tone, width)];
    let room = fit::key_width(card);
    for (row, texts) in card.rows.iter().zip(&fitted.lines) {
        let key = format!(" {:<room$}", row.key);
        for (index, text) in texts.iter().enumerate() {
            let key = if index == 0 {
                key.clone()
            } else {
                " ".repeat(key.chars().count())
            };
            lines.push(Line::from(vec![
                Span::styled(key, style(Tone::Quiet)),
                Span::styled(text.clone(), style(row.tone)),
            ]));
        }
    }
    lines
}

fn title(text: &str, tone: Tone, width: usize) -> Line<'static> {
    let rule = width.saturating_sub(text.chars().count() + 2);
    let tone = if tone == Tone::Plain {
        Style::new()
    } else {
        style(tone)
    };
    Line::from(vec![
        Span::styled(format!(" {text} "), tone.add_modifier(Modifier::BOLD)),
        Span::styled("─".repeat(rule), style(Tone::Quiet)),
    ])
}

fn draw_events(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let width = usize::from(area.width);
    let behind = model.timeline.behind();
    let name = match behind {
        0 => "events".to_owned(),
        1 => "events, 1 newer below".to_owned(),
        more => format!("events, {more} newer below"),
    };
    let room = usize::from(area.height).saturating_sub(1);
    let mut lines: Vec<Line<'_>> = model
        .timeline
        .in_sight()
        .take(room)
        .map(|record| happened(record, model, width))
        .collect();
    if lines.is_empty() {
        lines.push(Line::styled(" none yet", style(Tone::Quiet)));
    }
    lines.push(title(&name, Tone::Plain, width.saturating_sub(2)));
    lines.reverse();
    frame.render_widget(Paragraph::new(lines), area);
}

/// An event on a line. Of the date only as much as is needed: the day if it is another one.
fn happened(record: &Record, model: &Model, width: usize) -> Line<'static> {
    let (text, today) = (record.time.to_the_second(), model.now.to_the_second());
    let time = if text[..10] == today[..10] {
        &text[11..19]
    } else {
        &text[5..16]
    };
    let kind = one_line(record.event.kind());
    let tone = style(tone_of(&record.event));
    let head = if width < 80 {
        format!(" {time} ")
    } else {
        format!(" {time:<11} ")
    };
    // On a narrow screen the sentence needs the room more than the column does.
    let kind = if width < 80 {
        format!("{kind} ")
    } else {
        format!("{kind:<19} ")
    };
    let room = width.saturating_sub(head.chars().count() + kind.chars().count() + 1);
    let sentence = record.event.to_string();
    Line::from(vec![
        Span::styled(head, style(Tone::Quiet)),
        Span::styled(kind, tone),
        Span::raw(cut(&sentence, room).into_owned()),
    ])
}

fn tone_of(event: &Event) -> Tone {
    match event {
        Event::Warning { .. } | Event::NodeKilled { .. } | Event::NodeRestarting { .. } => {
            Tone::Warn
        }
        _ if event.trouble().is_some() => Tone::Bad,
        Event::NodeExited { code, .. } if *code != Some(0) => Tone::Warn,
        Event::UpgradeConfirmed { .. }
        | Event::NodeStarted { .. }
        | Event::NodeChanged { .. }
        | Event::PrefetchFinished { .. }
        | Event::BackupMade { .. } => Tone::Good,
        Event::UpgradeStarted { .. }
        | Event::UpgradeResumed { .. }
        | Event::UpgradeStep { .. }
        | Event::HandingOver { .. }
        | Event::PlanSeen { .. }
        | Event::PrefetchStarted { .. } => Tone::Busy,
        _ => Tone::Plain,
    }
}

fn draw_help(frame: &mut Frame<'_>, area: Rect) {
    let width = HELP.iter().map(|l| l.chars().count()).max().unwrap_or(0) + 4;
    let [row] = Layout::vertical([Constraint::Length(
        u16::try_from(HELP.len() + 2).unwrap_or(u16::MAX),
    )])
    .flex(ratatui::layout::Flex::Center)
    .areas(area);
    let [place] =
        Layout::horizontal([Constraint::Length(u16::try_from(width).unwrap_or(u16::MAX))])
            .flex(ratatui::layout::Flex::Center)
            .areas(row);
    frame.render_widget(Clear, place);
    frame.render_widget(Block::bordered().title(" keys "), place);
    let lines: Vec<Line<'_>> = HELP.iter().map(|line| Line::from(*line)).collect();
    frame.render_widget(Paragraph::new(lines), place.inner(Margin::new(2, 1)));
}

/// The text in so many columns, with an ellipsis if it is longer.
fn cut(text: &str, room: usize) -> Cow<'_, str> {
    if textwrap::core::display_width(text) <= room {
        return Cow::Borrowed(text);
    }
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        if textwrap::core::display_width(&short) >= room {
            short.pop();
            break;
        }
    }
    short.push('…');
    Cow::Owned(short)
}

/// Colours that the terminal's own scheme defines, so that they can be read on light and on dark.
fn style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Quiet => Style::new().add_modifier(Modifier::DIM),
        Tone::Good => Style::new().fg(Color::Green),
        Tone::Busy => Style::new().fg(Color::Cyan),
        Tone::Warn => Style::new().fg(Color::Yellow),
        Tone::Bad => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
