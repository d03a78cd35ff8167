//! Network namespaces: a room for each node, and a hub between them that lets through what it is told to.
//!
//! The hub is a router that has an address in each room, so that whoever sits in it reaches all nodes while they do not
//! reach each other. The campaign sits in it: it starts itself there once more. Nothing of this touches the machine's own
//! network, and all of it ends with the names, which are removed.

use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::Options;

/// The second part of all addresses; inside namespaces of our own any will do.
const SECOND: u8 = 213;
/// How many rooms.
const ROOMS: u8 = 4;
/// Of the rule that stops two rooms from talking.
const RULE: &str = "100";

/// Makes the namespaces, runs the campaign in the hub, and removes them.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let name = format!("baton{}", std::process::id());
    let made = Rooms::make(&name);
    let rooms = match made {
        Ok(rooms) => rooms,
        Err(why) => {
            let why = format!("no network namespaces: {why:#}");
            println!("{}", json!({ "bench": "node-partition", "skipped": why }));
            return Ok(true);
        }
    };
    let own = std::env::current_exe()?;
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &rooms.hub()]).arg(own);
    command.args(["partition", "--inside"]);
    command.arg("--batond").arg(&options.batond);
    command.args(["--seed", &options.seed.to_string()]);
    command.args(["--cut-seconds", &options.cut_seconds.to_string()]);
    command.args(["--interval-ms", &options.interval_ms.to_string()]);
    command.args(["--log-level", &options.log_level]);
    if let Some(keep) = &options.keep {
        command.arg("--keep").arg(keep);
    }
    let status = command.env("BATON_ROOMS", &name).status()?;
    Ok(status.success())
}

/// Namespaces, removed when this is dropped.
pub(crate) struct Rooms {
    name: String,
    remove: bool,
}

impl Rooms {
    fn make(name: &str) -> Result<Self> {
        let rooms = Self {
            name: name.to_owned(),
            remove: true,
        };
        let hub = rooms.hub();
        ip(&["netns", "add", &hub])?;
        ip(&["-n", &hub, "link", "set", "lo", "up"])?;
        for number in 0..ROOMS {
            let room = rooms.room(number);
            let (door, here) = (
                format!("door{number}"),
                format!("{}/24", hub_address(number)),
            );
            let there = format!("{}/24", address(number));
            ip(&["netns", "add", &room])?;
            ip(&[
                "-n", &hub, "link", "add", &door, "type", "veth", "peer", "name", "door", "netns",
                &room,
            ])?;
            ip(&["-n", &hub, "addr", "add", &here, "dev", &door])?;
            ip(&["-n", &hub, "link", "set", &door, "up"])?;
            ip(&["-n", &room, "link", "set", "lo", "up"])?;
            ip(&["-n", &room, "addr", "add", &there, "dev", "door"])?;
            ip(&["-n", &room, "link", "set", "door", "up"])?;
            let gate = hub_address(number).to_string();
            ip(&["-n", &room, "route", "add", "default", "via", &gate])?;
        }
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        ip(&["netns", "exec", &hub, "sh", "-c", forward])?;
        Ok(rooms)
    }

    /// Those in whose hub this process is.
    pub(crate) fn around_us() -> Result<Self> {
        let name = std::env::var("BATON_ROOMS").context("--inside is for the campaign itself")?;
        Ok(Self {
            name,
            remove: false,
        })
    }

    fn hub(&self) -> String {
        format!("{}-hub", self.name)
    }

    fn room(&self, number: u8) -> String {
        format!("{}-{number}", self.name)
    }

    /// What runs a command in a room.
    pub(crate) fn enter(&self, number: u8) -> Vec<String> {
        ["ip", "netns", "exec", &self.room(number)]
            .map(str::to_owned)
            .into()
    }

    /// Drops all that these say to each other, silently, as a broken network does.
    pub(crate) fn cut(&self, one: &[u8], other: &[u8]) -> Result<()> {
        self.rules("add", one, other)
    }

    /// Undoes [`Rooms::cut`].
    pub(crate) fn heal(&self, one: &[u8], other: &[u8]) -> Result<()> {
        self.rules("del", one, other)
    }

    fn rules(&self, what: &str, one: &[u8], other: &[u8]) -> Result<()> {
        let hub = self.hub();
        for here in one {
            for there in other {
                for (from, to) in [(here, there), (there, here)] {
                    let (from, to) = (address(*from).to_string(), address(*to).to_string());
                    let rule = ["pref", RULE, "from", &from, "to", &to, "blackhole"];
                    ip(&[&["-n", &hub, "rule", what], &rule[..]].concat())?;
                }
            }
        }
        Ok(())
    }
}

impl Drop for Rooms {
    fn drop(&mut self) {
        if self.remove {
            for number in 0..ROOMS {
                let _ = ip(&["netns", "del", &self.room(number)]);
            }
            let _ = ip(&["netns", "del", &self.hub()]);
        }
    }
}

/// Where the node of a room is.
pub(crate) fn address(number: u8) -> IpAddr {
    Ipv4Addr::new(10, SECOND, number, 2).into()
}

fn hub_address(number: u8) -> IpAddr {
    Ipv4Addr::new(10, SECOND, number, 1).into()
}

fn ip(args: &[&str]) -> Result<()> {
    let output = Command::new("ip")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .context("running ip (iproute2)")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "ip {}: {}",
        args.join(" "),
        said.trim()
    );
    Ok(())
}
