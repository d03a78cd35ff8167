//! How the node behaves, and where that is said.
//!
//! Every setting is a flag and, under the same name, a key of the table `[mock]` in
//! `<home>/config/app.toml`. A table `[mock.version.NAME]` holds for one version only, so that a
//! test can prepare what v2 will do before it runs. A flag wins over the version's table, and
//! that over the common one.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::chain::Plan;
use crate::plan_file::PlanShape;
use crate::units::{Size, Span};
use crate::version::Version;

/// The settings as given: everything is optional.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Where the HTTP RPC listens: `127.0.0.1:26657`, port 0 for any free one, `off`
    #[arg(long, visible_alias = "rpc.laddr", value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rpc: Option<String>,

    /// Where gRPC listens: `127.0.0.1:9090`, port 0 for any free one, `off`
    #[arg(long, visible_alias = "grpc.address", value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grpc: Option<String>,

    /// Where the data is, if not in `<home>/data`
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Time between blocks [default: 1s]
    #[arg(long, value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) block_time: Option<Span>,

    /// Size of a block on disk [default: 1KiB]
    #[arg(long, value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) block_size: Option<Size>,

    /// Blocks after which a store's log becomes a table [default: 16]
    #[arg(long, value_name = "BLOCKS", value_parser = clap::value_parser!(u64).range(1..))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sst_every: Option<u64>,

    /// Size of a table; filler makes up for what is missing [default: 16KiB]
    #[arg(long, value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sst_size: Option<Size>,

    /// Blocks that are kept at least [default: 1000]
    #[arg(long, value_name = "BLOCKS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keep_blocks: Option<u64>,

    /// A plan on chain, `NAME:HEIGHT[:INFO]`; may be repeated
    #[arg(long, value_name = "PLAN")]
    #[serde(with = "plans_as_text", skip_serializing_if = "Vec::is_empty")]
    pub(crate) plan: Vec<Plan>,

    /// Which Cosmos SDK to behave like; sets the defaults of the styles below [default: 0.50]
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sdk: Option<Sdk>,

    /// How the node ends at a plan's height [default: consensus]
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) halt_style: Option<HaltStyle>,

    /// Stop at this height
    #[arg(long, value_name = "HEIGHT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) halt_height: Option<u64>,

    /// Exit after the halt height (old), or stay up just before it (new) [default: as the SDK]
    #[arg(long, value_enum, value_name = "STYLE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) halt_height_style: Option<Style>,

    /// Heights whose plan is not executed: `10 20`, `10,20` or repeated
    #[arg(long, value_name = "HEIGHT", num_args = 1.., value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) unsafe_skip_upgrades: Vec<u64>,

    /// Fields of upgrade-info.json [default: as the SDK]
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plan_shape: Option<PlanShape>,

    /// Stop so long in the middle of writing upgrade-info.json [default: 0s]
    #[arg(long, value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plan_pause: Option<Span>,

    /// Before applying an upgrade, insist that upgrade-info.json names it [default: true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) store_upgrades: Option<bool>,

    /// How long applying an upgrade takes [default: 0s]
    #[arg(long, value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) upgrade_time: Option<Span>,

    /// How `status` prints: `SyncInfo` on stderr (old) or `sync_info` on stdout (new) [default: as
    /// the SDK]
    #[arg(long, value_enum, value_name = "STYLE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status_casing: Option<Style>,

    /// How long flushing takes after TERM or INT [default: 0s]
    #[arg(long, value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stop_delay: Option<Span>,

    /// Do not stop at TERM or INT
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ignore_term: Option<bool>,

    /// Exit code after TERM or INT [default: as the SDK: 0, or 128 + signal]
    #[arg(long, value_name = "CODE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exit_on_term: Option<u8>,

    /// Be a store that a SIGKILL leaves torn
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tear_on_kill: Option<bool>,

    /// Start a child that writes into the data directory and outlives the node
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "plain")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grandchild: Option<Grandchild>,

    /// Wait so long before opening anything [default: 0s]
    #[arg(long, value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start_delay: Option<Span>,

    /// Crash so long after the start; `0s` crashes before anything is opened
    #[arg(long, value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fail_after: Option<Span>,

    /// Crash instead of making this block
    #[arg(long, value_name = "HEIGHT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fail_at: Option<u64>,

    /// Exit code of these crashes [default: 1]
    #[arg(long, value_name = "CODE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fail_code: Option<u8>,

    /// Crash so many times only; counted in `<home>/mocknode-failures` [default: always]
    #[arg(long, value_name = "TIMES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fail_times: Option<u64>,

    /// Hand over to the next process instead of ending before it: in `$BATON_CONTROL_DIR`, else
    /// `<home>/handover`
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) handover: Option<bool>,

    /// Be a successor that does not succeed
    #[arg(long, value_enum, value_name = "HOW")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) poison: Option<Poison>,

    /// Exit code of `pre-upgrade`; `<home>/pre-upgrade-exit` wins [default: 0]
    #[arg(long, value_name = "CODE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pre_upgrade: Option<u8>,
}

/// Plans are written in the file as they are on a command line.
mod plans_as_text {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::chain::Plan;

    pub(super) fn serialize<S: Serializer>(plans: &[Plan], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(plans.iter().map(Plan::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Plan>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        let plans = texts
            .iter()
            .map(|text| text.parse().map_err(D::Error::custom));
        plans.collect()
    }
}

/// A line of Cosmos SDK versions that behave alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Deserialize, Serialize, ValueEnum)]
pub(crate) enum Sdk {
    /// 0.42
    #[value(name = "0.42")]
    #[serde(rename = "0.42")]
    V0_42,
    /// 0.43 to 0.45
    #[value(name = "0.43", alias = "0.44", alias = "0.45")]
    #[serde(rename = "0.43", alias = "0.44", alias = "0.45")]
    V0_43,
    /// 0.46 and 0.47
    #[value(name = "0.46", alias = "0.47")]
    #[serde(rename = "0.46", alias = "0.47")]
    V0_46,
    /// 0.50 and later
    #[value(name = "0.50", alias = "0.53", alias = "0.54")]
    #[serde(rename = "0.50", alias = "0.53", alias = "0.54")]
    V0_50,
}

/// How a node without the next version ends at a plan's height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HaltStyle {
    /// It takes part in consensus: consensus fails, the process stays up
    #[value(alias = "panic")]
    #[serde(alias = "panic")]
    Consensus,
    /// It is catching up: the process exits with code 2
    #[value(alias = "exit")]
    #[serde(alias = "exit")]
    BlockSync,
    /// It is killed between saving the block and executing it: only the replay at the next start
    /// finds the plan, writes upgrade-info.json and exits with code 1
    Handshake,
}

/// Behaviour that changed with SDK 0.50.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Style {
    /// SDK 0.47 and earlier
    Old,
    /// SDK 0.50 and later
    New,
}

/// What kind of child the node starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Grandchild {
    /// It ends at TERM
    Plain,
    /// It ignores TERM and INT
    Stubborn,
}

/// How a successor fails that takes over from a predecessor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Poison {
    /// It cannot open the data
    Open,
    /// It knows another schema of the state that travels
    Schema,
    /// It never becomes ready
    Hang,
    /// It is killed as soon as it serves
    Die,
}

/// Why the settings in `app.toml` cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("config/app.toml: {0}")]
pub(crate) struct BadSettings(String);

impl Settings {
    /// The settings of `version`: these flags over the text of `app.toml`.
    pub(crate) fn over(&self, app_toml: &str, version: &Version) -> Result<Self, BadSettings> {
        let bad = |error: &dyn std::fmt::Display| BadSettings(error.to_string());
        let mut file: Table = app_toml.parse().map_err(|e: toml::de::Error| bad(&e))?;
        let mut merged = match file.remove("mock") {
            None => Table::new(),
            Some(Value::Table(mock)) => mock,
            Some(_) => return Err(bad(&"`mock` is not a table")),
        };
        match merged.remove("version") {
            None => {}
            Some(Value::Table(versions)) => {
                let mine = versions
                    .into_iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case(&version.0));
                if let Some((_, table)) = mine {
                    let table = table.try_into::<Table>();
                    merged.extend(table.map_err(|e| bad(&e))?);
                }
            }
            Some(_) => return Err(bad(&"`mock.version` is not a table of tables")),
        }
        merged.extend(self.to_table());
        merged.try_into().map_err(|e| bad(&e))
    }

    /// The given settings only, by their names in a file.
    pub(crate) fn to_table(&self) -> Table {
        Table::try_from(self).expect("every field is a string, a number, a boolean or a list")
    }
}

/// The settings that make a node run, with nothing left open.
#[derive(Clone, Debug)]
pub(crate) struct Behaviour {
    pub(crate) block_time: Duration,
    pub(crate) block_size: usize,
    pub(crate) sst_every: u64,
    pub(crate) sst_size: u64,
    pub(crate) keep_blocks: u64,
    pub(crate) plans: Vec<Plan>,
    pub(crate) halt_style: HaltStyle,
    pub(crate) halt_height: Option<u64>,
    pub(crate) halt_height_style: Style,
    pub(crate) skip_heights: Vec<u64>,
    pub(crate) plan_shape: PlanShape,
    pub(crate) plan_pause: Duration,
    pub(crate) store_upgrades: bool,
    pub(crate) upgrade_time: Duration,
    pub(crate) status_casing: Style,
    pub(crate) stop_delay: Duration,
    pub(crate) ignore_term: bool,
    /// `None`: 128 + signal.
    pub(crate) exit_on_term: Option<u8>,
    pub(crate) tear_on_kill: bool,
    pub(crate) fail_at: Option<u64>,
    pub(crate) fail_code: u8,
    pub(crate) poison: Option<Poison>,
}

impl From<&Settings> for Behaviour {
    fn from(given: &Settings) -> Self {
        let sdk = given.sdk.unwrap_or(Sdk::V0_50);
        let new = sdk >= Sdk::V0_50;
        let style = if new { Style::New } else { Style::Old };
        let shape = match sdk {
            Sdk::V0_42 => PlanShape::NameHeight,
            Sdk::V0_43 => PlanShape::NameHeightInfo,
            Sdk::V0_46 | Sdk::V0_50 => PlanShape::Plan,
        };
        let time = |span: Option<Span>, millis| {
            span.map_or(Duration::from_millis(millis), |Span(time)| time)
        };
        let size = |size: Option<Size>, bytes| size.map_or(bytes, |Size(bytes)| bytes);
        Self {
            block_time: time(given.block_time, 1_000),
            block_size: usize::try_from(size(given.block_size, 1 << 10)).unwrap_or(usize::MAX),
            sst_every: given.sst_every.unwrap_or(16).max(1),
            sst_size: size(given.sst_size, 16 << 10),
            keep_blocks: given.keep_blocks.unwrap_or(1_000),
            plans: given.plan.clone(),
            halt_style: given.halt_style.unwrap_or(HaltStyle::Consensus),
            halt_height: given.halt_height.filter(|height| *height > 0),
            halt_height_style: given.halt_height_style.unwrap_or(style),
            skip_heights: given.unsafe_skip_upgrades.clone(),
            plan_shape: given.plan_shape.unwrap_or(shape),
            plan_pause: time(given.plan_pause, 0),
            store_upgrades: given.store_upgrades.unwrap_or(true),
            upgrade_time: time(given.upgrade_time, 0),
            status_casing: given.status_casing.unwrap_or(style),
            stop_delay: time(given.stop_delay, 0),
            ignore_term: given.ignore_term.unwrap_or(false),
            exit_on_term: given.exit_on_term.or(new.then_some(0)),
            tear_on_kill: given.tear_on_kill.unwrap_or(false),
            fail_at: given.fail_at,
            fail_code: given.fail_code.unwrap_or(1),
            poison: given.poison,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    fn flags(line: &str) -> Settings {
        let words = std::iter::once("mocknode").chain(line.split_whitespace());
        Line::try_parse_from(words)
            .map_err(|e| e.to_string())
            .unwrap()
            .settings
    }

    fn v2() -> Version {
        Version("v2".into())
    }

    #[test]
    fn a_flag_wins_over_the_version_and_that_over_the_file() {
        let file = "halt-height = 0\n[grpc]\naddress = 'x'\n\
                    [mock]\nblock-time = '2s'\nstop-delay = '3s'\nsdk = '0.47'\nplan = ['v2:5']\n\
                    [mock.version.V2]\nstop-delay = '4s'\nfail-after = '0s'\n";
        let got = flags("--plan v3:7:x --ignore-term")
            .over(file, &v2())
            .unwrap();
        assert_eq!(got.block_time.unwrap().0, Duration::from_secs(2));
        assert_eq!(got.stop_delay.unwrap().0, Duration::from_secs(4));
        assert_eq!(got.fail_after.unwrap().0, Duration::ZERO);
        assert_eq!(got.plan, ["v3:7:x".parse().unwrap()]);
        assert_eq!((got.ignore_term, got.sdk), (Some(true), Some(Sdk::V0_46)));
        let other = Settings::default()
            .over(file, &Version("v3".into()))
            .unwrap();
        assert_eq!(other.stop_delay.unwrap().0, Duration::from_secs(3));
        assert_eq!(other.fail_after, None);
        assert_eq!(
            Settings::default().over("", &v2()).unwrap(),
            Settings::default()
        );
    }

    #[test]
    fn what_is_wrong_in_the_file_is_named() {
        for (file, named) in [
            ("[mock]\nblok-time = '1s'", "blok-time"),
            ("[mock]\nblock-time = 1", "string"),
            ("[mock]\nblock-time = 'x'", "not a duration"),
            ("[mock]\nplan = ['v2']", "not a plan"),
            ("[mock]\nsdk = '0.1'", "0.42"),
            ("mock = 1", "mock"),
            ("[mock]\nversion = 1", "mock.version"),
            ("[mock.version]\nv2 = 1", "integer"),
            ("[", "TOML"),
        ] {
            let error = Settings::default()
                .over(file, &v2())
                .unwrap_err()
                .to_string();
            assert!(error.contains(named), "{file}: {error}");
            assert!(error.starts_with("config/app.toml"), "{error}");
        }
    }

    #[test]
    fn every_flag_is_a_key_of_the_file() {
        let all = flags(
            "--rpc a --grpc b --data-dir c --block-time 1s --block-size 1 --sst-every 1 \
             --sst-size 1 --keep-blocks 1 --plan v2:1 --sdk 0.42 --halt-style exit \
             --halt-height 1 --halt-height-style old --unsafe-skip-upgrades 10 20 \
             --unsafe-skip-upgrades=30,40 --plan-shape 0.43 --plan-pause 1s \
             --store-upgrades=false --upgrade-time 1s --status-casing old --stop-delay 1s \
             --ignore-term --exit-on-term 143 --tear-on-kill --grandchild=stubborn \
             --start-delay 1s --fail-after 1s --fail-at 1 --fail-code 1 --fail-times 1 \
             --handover --poison open --pre-upgrade 31",
        );
        assert_eq!(all.unsafe_skip_upgrades, [10, 20, 30, 40]);
        let table = all.to_table();
        let flags = <Line as clap::CommandFactory>::command();
        let names: Vec<_> = flags.get_arguments().filter_map(|a| a.get_long()).collect();
        assert!(names.len() > 25);
        for name in names.iter().filter(|name| **name != "help") {
            assert!(table.contains_key(*name), "{name}");
        }
        let file = format!("[mock]\n{table}");
        assert_eq!(Settings::default().over(&file, &v2()).unwrap(), all);
    }

    #[test]
    fn the_sdk_sets_what_belongs_together() {
        let of = |line: &str| Behaviour::from(&flags(line));
        let old = of("--sdk 0.47");
        assert_eq!((old.status_casing, old.exit_on_term), (Style::Old, None));
        assert_eq!(old.plan_shape, PlanShape::Plan);
        assert_eq!(of("--sdk 0.42").plan_shape, PlanShape::NameHeight);
        let new = of("--status-casing old");
        assert_eq!((new.status_casing, new.exit_on_term), (Style::Old, Some(0)));
        assert_eq!(new.halt_height_style, Style::New);
        assert_eq!(of("--halt-height 0").halt_height, None);
    }
}
