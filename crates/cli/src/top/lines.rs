//! The same news as lines of text, where there is no screen: how things stand once, then what happens.

use std::time::Duration;

use baton_supervisor::telling::{Time, render_text};
use tokio::sync::mpsc::Receiver;

use super::model::{Link, Model, News};
use crate::console;

/// How often it is looked whether somebody still reads.
const LOOK: Duration = Duration::from_secs(1);

/// Prints until nobody reads any more or there is nothing more to tell.
///
/// What happened before is `baton events`' to tell.
pub(crate) async fn print(model: &mut Model, news: &mut Receiver<News>) {
    let begun = model.now;
    while !console::is_abandoned() {
        let Ok(received) = tokio::time::timeout(LOOK, news.recv()).await else {
            continue;
        };
        let Some(received) = received else { return };
        model.now = Time::now();
        let received = match received {
            News::Events(mut records) => {
                records.retain(|record| record.time >= begun);
                News::Events(records)
            }
            other => other,
        };
        let text = line(model, &received);
        let goes_on = model.learn(received);
        if (!text.is_empty() && console::try_out(&text).is_err()) || !goes_on {
            return;
        }
    }
}

/// What is printed of it, given what was known before. Figures that always change are not.
fn line(model: &Model, news: &News) -> String {
    let now = model.now.to_the_second();
    match (news, &model.link) {
        (News::Status(status), Link::Asking) => render_text(status, model.now) + "\n",
        (News::Status(status), Link::Gone { .. }) => {
            format!("{now}  the supervisor answers: {}\n", status.headline())
        }
        (News::Status(status), Link::Live) => match &model.status {
            Some(before) if before.headline() != status.headline() => {
                format!("{now}  {}\n", status.headline())
            }
            _ => String::new(),
        },
        (News::Gone(why, _), Link::Live | Link::Asking) => {
            format!("{now}  no answer: {why}; asked again until there is one\n")
        }
        (News::Events(records), _) => records
            .iter()
            .flat_map(|record| [record.to_string(), "\n".to_owned()])
            .collect(),
        (News::Gone(..), Link::Gone { .. }) | (News::Load(_) | News::End, _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::testing::{at, status, warning};
    use super::*;

    #[test]
    fn only_what_is_new_is_printed() {
        let mut model = Model::new(Path::new("/h"), at(5));
        let mut tell = |news: News| {
            let text = line(&model, &news);
            model.learn(news);
            text
        };
        let known = || News::Status(Box::new(status()));
        assert!(tell(known()).starts_with("Running genesis\n"));
        assert_eq!(tell(known()), "");
        let mut upgrading = status();
        let event = baton_supervisor::telling::Event::UpgradeStarted {
            name: "v2".into(),
            height: 9,
        };
        upgrading.apply(&event, at(5));
        let text = tell(News::Status(Box::new(upgrading)));
        assert_eq!(
            text,
            "2026-11-21 03:00:05 UTC  upgrading to v2 at height 9: due\n"
        );
        assert!(tell(News::Gone("refused".into(), None)).contains("no answer: refused"));
        assert_eq!(tell(News::Gone("refused".into(), None)), "");
        assert!(tell(known()).contains("the supervisor answers: running genesis"));
        let text = tell(News::Events(vec![warning(1), warning(2)]));
        assert_eq!(text.lines().count(), 2, "{text}");
    }
}
