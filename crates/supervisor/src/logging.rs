//! The supervisor's log on stdout, in the console format that operators know from Cosmovisor:
//! time, level, message, and the values sorted by name with the error first.
//!
//! ```text
//! 3:04PM INF running app args=["start"] module=cosmovisor path=/x/cosmovisor/genesis/bin/simd
//! ```
//!
//! Events are written with `tracing`; only those of our own crates are printed. A stdout that
//! nobody reads any more loses the log and nothing else.

mod line;

use std::{
    fmt,
    io::{self, Write},
};

use jiff::{Timestamp, Zoned, tz::TimeZone};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
    util::{SubscriberInitExt, TryInitError},
};

pub use self::line::list;
use self::line::{Line, Style, Value};
use crate::config::{Config, Env, TimeFormat};

/// The variable that sets the level of the log: `error`, `warn`, `info`, `debug` or `trace`.
pub const LEVEL_VARIABLE: &str = "BATON_LOG";

/// The targets whose events are printed: our libraries, and our executables.
const OWN_TARGETS: [&str; 2] = ["baton", "cosmovisor"];

/// How the log is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Print nothing.
    pub disabled: bool,
    /// Print in colours.
    pub colors: bool,
    /// How the time is spelled.
    pub time_format: TimeFormat,
    /// What every line names as its module, as upstream's do.
    pub module: Option<&'static str>,
    /// The least severe level that is printed.
    pub level: LevelFilter,
    /// A value of [`LEVEL_VARIABLE`] that is none of its values and was passed over.
    pub unknown_level: Option<String>,
}

impl Settings {
    /// The settings of a configuration, and of the variables `NO_COLOR` and [`LEVEL_VARIABLE`].
    pub fn new(config: &Config, env: &Env) -> Self {
        let environment = Self::of_environment(env, config.time_format);
        Self {
            disabled: config.disable_logs,
            colors: config.color_logs && environment.colors,
            module: Some("cosmovisor"),
            ..environment
        }
    }

    /// Those variables' settings, where there is no configuration.
    pub fn of_environment(env: &Env, time_format: TimeFormat) -> Self {
        let level = env
            .non_empty(LEVEL_VARIABLE)
            .map(|level| level.to_string_lossy().into_owned());
        let parsed = level.as_ref().map(|level| level.parse());
        Self {
            disabled: false,
            // https://no-color.org
            colors: env.non_empty("NO_COLOR").is_none(),
            time_format,
            module: None,
            level: match parsed {
                Some(Ok(level)) => level,
                _ => LevelFilter::INFO,
            },
            unknown_level: level.filter(|_| matches!(parsed, Some(Err(_)))),
        }
    }
}

/// Prints this process's events from now on.
pub fn init(settings: &Settings) -> Result<(), TryInitError> {
    tracing_subscriber::registry()
        .with(layer(settings))
        .try_init()?;
    if let Some(level) = &settings.unknown_level {
        tracing::warn!(
            got = level.as_str(),
            "{LEVEL_VARIABLE} must be off, error, warn, info, debug or trace; taking info"
        );
    }
    Ok(())
}

/// The layer that prints events to stdout, to be combined with others; `None` when the log is
/// disabled.
pub fn layer<S>(settings: &Settings) -> Option<impl Layer<S> + use<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    layer_to(settings, io::stdout)
}

fn layer_to<S, F, W>(settings: &Settings, writer: F) -> Option<impl Layer<S> + use<S, F, W>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: Fn() -> W + Send + Sync + 'static,
    W: Write,
{
    let console = Console {
        style: Style {
            colors: settings.colors,
            time_format: settings.time_format,
        },
        module: settings.module,
        zone: local_zone(),
        writer,
    };
    let own = OWN_TARGETS.map(|target| (target, settings.level));
    (!settings.disabled).then(|| console.with_filter(Targets::from_iter(own)))
}

/// The zone of `TZ` or `/etc/localtime`, read once; UTC where there is none.
fn local_zone() -> TimeZone {
    let zone = TimeZone::system();
    if zone.is_unknown() {
        TimeZone::UTC
    } else {
        zone
    }
}

struct Console<F> {
    style: Style,
    module: Option<&'static str>,
    zone: TimeZone,
    writer: F,
}

impl<S, F, W> Layer<S> for Console<F>
where
    S: Subscriber,
    F: Fn() -> W + 'static,
    W: Write,
{
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut values = Values::default();
        event.record(&mut values);
        if let Some(module) = self.module {
            let value = Value::Text(module.to_owned());
            values.fields.push(("module".to_owned(), value));
        }
        let line = Line {
            time: Zoned::new(Timestamp::now(), self.zone.clone()),
            level: *event.metadata().level(),
            message: values.message,
            fields: values.fields,
        };
        // one write, so that lines of the node do not fall in between; a log that cannot be
        // written cannot be complained about either
        let _ = (self.writer)().write_all(line.render(&self.style).as_bytes());
    }
}

#[derive(Default)]
struct Values {
    message: String,
    fields: Vec<(String, Value)>,
}

impl Values {
    fn put(&mut self, field: &Field, value: Value) {
        self.fields.push((field.name().to_owned(), value));
    }
}

impl Visit for Values {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field, Value::formatted(text));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.put(field, Value::Text(value.to_owned()));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Bare(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Bare(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::Bare(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Bare(value.to_string()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, Value::Text(value.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::config::Config;

    /// A writer that keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn settings(variables: &[(&str, &str)]) -> Settings {
        let mut all = vec![("DAEMON_HOME", "/x"), ("DAEMON_NAME", "simd")];
        all.extend(variables);
        let env: Env = all.into_iter().collect();
        Settings::new(&Config::load_for_init(&env).unwrap().config, &env)
    }

    fn printed(variables: &[(&str, &str)], emit: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let layer = layer_to(&settings(variables), move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, emit);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    const PLAIN: [(&str, &str); 2] = [
        ("COSMOVISOR_COLOR_LOGS", "false"),
        ("COSMOVISOR_TIMEFORMAT_LOGS", ""),
    ];

    #[test]
    fn prints_events_as_cosmovisor_does() {
        let error = io::Error::other("exit status 31");
        let text = printed(&PLAIN, || {
            tracing::info!(
                path = "/x/a b",
                args = %list(["up", "a b", "q\"u", "<&>"]),
                "running app"
            );
            tracing::error!(
                attempt = 1,
                zeal = 0.5,
                ok = true,
                error = &error as &dyn std::error::Error,
                "failed"
            );
            tracing::warn!("backup saved at" = %"/b", error = %error, "count: {}", 2);
        });
        assert_eq!(
            text,
            "<nil> INF running app args=[\"up\",\"a b\",\"q\\\"u\",\"<&>\"] module=cosmovisor path=\"/x/a b\"\n\
             <nil> ERR failed error=\"exit status 31\" attempt=1 module=cosmovisor ok=true zeal=0.5\n\
             <nil> WRN count: 2 error=\"exit status 31\" backup saved at=/b module=cosmovisor\n"
        );
    }

    #[test]
    fn prints_our_own_events_at_the_level_asked_for() {
        let emit = || {
            tracing::debug!("mine");
            tracing::info!(target: "hyper::client", "theirs");
            tracing::info!(target: "cosmovisor", "the executable's");
        };
        assert_eq!(
            printed(&PLAIN, emit),
            "<nil> INF the executable's module=cosmovisor\n"
        );
        let debug = [PLAIN[0], PLAIN[1], (LEVEL_VARIABLE, "debug")];
        assert_eq!(
            printed(&debug, emit),
            "<nil> DBG mine module=cosmovisor\n<nil> INF the executable's module=cosmovisor\n"
        );
        assert_eq!(printed(&[("COSMOVISOR_DISABLE_LOGS", "true")], emit), "");
    }

    #[test]
    fn settings_follow_the_environment() {
        assert!(settings(&[("NO_COLOR", "")]).colors);
        assert!(!settings(&[("NO_COLOR", "1")]).colors);
        assert!(!settings(&[("COSMOVISOR_COLOR_LOGS", "false")]).colors);
        let odd = settings(&[(LEVEL_VARIABLE, "loud")]);
        assert_eq!(odd.level, LevelFilter::INFO);
        assert_eq!(odd.unknown_level.as_deref(), Some("loud"));
        assert_eq!(
            settings(&[(LEVEL_VARIABLE, "WARN")]).level,
            LevelFilter::WARN
        );
    }

    #[test]
    fn a_closed_stdout_is_borne() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let layer = layer_to(&settings(&[]), || Closed);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || tracing::info!("unheard"));
    }
}
