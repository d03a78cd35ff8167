"""What ours does otherwise than Cosmovisor 1.7.1, on purpose, and why.

Each row names the cases it is about, the reason, and the changes that turn upstream's answer into the
expected one. A change touches one thing and checks what ours has in its place, so that only the
intended difference is excused.
"""

import copy
import re
from fnmatch import fnmatch

# --- the changes --------------------------------------------------------------------------------
# Each is a function of upstream's answer, which it may alter, and ours; it tells whether it did.


def accept(aspect, step=0, has=(), lacks=()):
    """Takes over what ours has for `exit`, `log`, `stdout` or `stderr`, if the patterns `has` are
    found in it, in this order, and the patterns `lacks` are not."""

    def change(expected, ours):
        theirs, mine = expected["steps"][step], ours["steps"][step]
        if theirs[aspect] == mine[aspect]:
            return False
        text = "\n".join(mine[aspect]) if isinstance(mine[aspect], list) else str(mine[aspect])
        rest = text
        for pattern in has:
            found = re.search(pattern, rest, re.M)
            if not found:
                return False
            rest = rest[found.end():]
        if any(re.search(pattern, text, re.M) for pattern in lacks):
            return False
        theirs[aspect] = mine[aspect]
        return True

    return change


def exits(code, step=0):
    """Ours ends with this code."""

    def change(expected, ours):
        before = expected["steps"][step]["exit"]
        expected["steps"][step]["exit"] = code
        return before != code

    return change


def prints(aspect, *lines, step=0):
    """Ours prints exactly these lines."""

    def change(expected, ours):
        before = expected["steps"][step][aspect]
        expected["steps"][step][aspect] = list(lines)
        return before != list(lines)

    return change


def loosely(aspect, *patterns):
    """Lines with one of the patterns count on neither side, in any step."""

    def change(expected, ours):
        changed = False
        for theirs, mine in zip(expected["steps"], ours["steps"]):
            if theirs[aspect] == mine[aspect]:
                continue

            def kept(step):
                return [line for line in step[aspect] if not any(re.search(p, line) for p in patterns)]

            if kept(theirs) == kept(mine):
                theirs[aspect] = mine[aspect]
                changed = True
        return changed

    return change


def entry(name, wanted):
    """An entry of the tree: `None` for none, a text, or a function of what ours has."""

    def change(expected, ours):
        before, mine = expected["tree"].get(name), ours["tree"].get(name)
        if before == mine:
            return False
        fits = wanted(mine) if callable(wanted) else mine == wanted
        if not fits:
            return False
        if mine is None:
            del expected["tree"][name]
        else:
            expected["tree"][name] = mine
        return True

    return change


def no_entries(pattern):
    """Ours has no entries like this in the tree."""

    def change(expected, ours):
        gone = [name for name in expected["tree"] if re.search(pattern, name) and name not in ours["tree"]]
        for name in gone:
            del expected["tree"][name]
        return bool(gone)

    return change


def more_entries(pattern):
    """Ours has further entries like this in the tree."""

    def change(expected, ours):
        new = [name for name in ours["tree"] if re.search(pattern, name) and name not in expected["tree"]]
        for name in new:
            expected["tree"][name] = ours["tree"][name]
        return bool(new)

    return change


def skeleton(usage):
    """What of a usage text scripts and fingers rely on: headings, synopses, names of commands and
    flags with their columns. Explanations and examples are left out."""
    kept, section = [], ""
    for line in usage:
        if re.match(r"[A-Z][A-Za-z ]*:$", line):
            section = line
        named = re.match(r"  +[-a-z][^ ]*(, --\S+)?( (string|strings|int))?  *(?=\S)", line)
        if section == "Examples:" and line != section:
            continue
        explained = section in ("Available Commands:", "Flags:", "Global Flags:") and named
        kept.append(named[0] if explained else line)
    return kept


def own_words(expected, ours):
    """Help and usage with the same skeleton. What stands above it in a help text is prose, which
    ours must have where Cosmovisor has it."""
    changed = False
    for theirs, mine in zip(expected["steps"], ours["steps"]):
        for aspect in ("stdout", "stderr"):
            before, now = theirs[aspect], mine[aspect]
            if before == now or "Usage:" not in before or "Usage:" not in now:
                continue
            above, mine_above = before.index("Usage:"), now.index("Usage:")
            if skeleton(before[above:]) != skeleton(now[mine_above:]):
                continue
            if aspect == "stdout" and bool(above) == bool(mine_above):
                theirs[aspect] = now
            else:
                # what stands above the usage on stderr is an error
                theirs[aspect] = before[:above] + now[mine_above:]
            changed = True
    return changed


def more_lines(*patterns, step=0):
    """Cosmovisor's log in its order, with lines of ours that have one of the patterns in between."""

    def change(expected, ours):
        theirs, mine = expected["steps"][step]["log"], ours["steps"][step]["log"]
        if theirs == mine:
            return False
        left = list(theirs)
        for line in mine:
            if left and line == left[0]:
                left.pop(0)
            elif not any(re.search(pattern, line) for pattern in patterns):
                return False
        if left:
            return False
        expected["steps"][step]["log"] = mine
        return True

    return change


# Messages of the log that are Cosmovisor's: such a line is never just one more of ours.
UPSTREAM_MESSAGES = "|".join((
    "running app", "daemon shutting down", "sent interrupt", "app exited normally", "DAEMON_SHUTDOWN_GRACE exceeded",
    "starting to take backup", "backup completed", "pre-upgrade ", "upgrade detected", "no upgrade binary found",
    "downloading binary complete", "looking for COSMOVISOR_CUSTOM_PREUPGRADE", "COSMOVISOR_CUSTOM_PREUPGRADE",
    "Using ", "No active upgrade plan", "Preparing for upgrade", "Downloading upgrade binary",
    "Upgrade preparation complete", "error getting latest block", "failed to load batch",
))
GENTLE = "sent interrupt to app, waiting for exit|app exited normally"


def telling_more(optional=None, ordered=True):
    """Every line of Cosmovisor's log in its order, with lines of our own in between. Lines with the
    pattern `optional` may also come on top."""
    # the message stands after the level: bare, or bold between colours
    upstream = r"(INF|WRN|ERR)(\x1b\[0m)? (\x1b\[1m)?(%s)" % UPSTREAM_MESSAGES

    def said(log, passed_over=None):
        lines = [line for line in log if re.search(upstream, line)]
        lines = [line for line in lines if not (passed_over and re.search(passed_over, line))]
        return lines if ordered else sorted(lines)

    def change(expected, ours):
        changed = False
        for theirs, mine in zip(expected["steps"], ours["steps"]):
            if theirs["log"] != mine["log"] and said(theirs["log"]) == said(mine["log"], optional):
                theirs["log"] = mine["log"]
                changed = True
        return changed

    return change


def with_advice(expected, ours):
    """The same text on stderr, and after it what to do: behind a line, or below them all."""
    changed = False
    for theirs, mine in zip(expected["steps"], ours["steps"]):
        before, now = theirs["stderr"], mine["stderr"]
        if before == now or not before or len(now) < len(before):
            continue
        if all(line.startswith(start) for start, line in zip(before, now)):
            theirs["stderr"] = now
            changed = True
    return changed


def more_sections(expected, ours):
    """Cosmovisor's two sections of `config` to the byte, then sections of our own."""
    theirs, mine = expected["steps"][0], ours["steps"][0]
    before, now = theirs["stderr"], mine["stderr"]
    if now[:len(before)] == before and now[len(before):len(before) + 1] == ["Baton Values:"] and "Sources:" in now:
        theirs["stderr"] = now
        return True
    return False


def text_has(*wanted):
    """A file of the tree whose text has the given pieces."""
    return lambda mine: mine is not None and all(piece in "\n".join(mine[1]) for piece in wanted)


# --- the table ----------------------------------------------------------------------------------

STARTS_GENESIS = "running app.*path={home}/cosmovisor/genesis/"
STARTS_UPGRADE = "running app.*path={home}/cosmovisor/upgrades/"
STARTS_CHAIN2 = STARTS_UPGRADE + "chain2/"
CHAIN2_INFO = "cosmovisor/upgrades/chain2/upgrade-info.json"
RUNS = ["run/*", "signal/*", "upgrade/*", "pre-upgrade/*", "download/*", "batch-run/*", "version/*", "prepare/*"]
NOT_SWITCHED = [entry("cosmovisor/current", "-> genesis"), entry(CHAIN2_INFO, None)]
SWITCHED = [
    exits(0),
    prints("stderr"),
    accept("stdout", has=["^Genesis", "^Chain 2 is live!", "^Finished"]),
    accept("log", has=[STARTS_GENESIS, "upgrade detected, relaunching", STARTS_CHAIN2]),
    entry("cosmovisor/current", "-> upgrades/chain2"),
    entry(CHAIN2_INFO, text_has('"name":"chain2"', '"height":49')),
]
# the node is left alone and ends by itself
LEFT_ALONE = [
    exits(0),
    prints("stderr"),
    accept("stdout", has=["^Genesis"], lacks=["Chain 2"]),
    accept("log", has=[STARTS_GENESIS], lacks=["daemon shutting down", STARTS_UPGRADE]),
    *NOT_SWITCHED,
]
# the upgrade fails, and nothing is left behind of the new release
REFUSED = [*NOT_SWITCHED, no_entries("^cosmovisor/upgrades/")]

# Each row: the cases, the reason, the changes. The rows apply in this order, each to what the ones
# before it have made of upstream's answer.
TABLE = [
    # told in other words
    (["*"], "help explains in words of our own; headings, commands, flags and columns are the same", [own_words]),
    # told on top of what Cosmovisor tells
    (["config/*"], "config also shows our own settings, and where each value came from", [more_sections]),
    ([*RUNS, "log/[!d]*"], "the log also tells heights, decisions and how the node ended", [telling_more()]),
    (RUNS, "errors also say what to do", [with_advice]),
    (["init/current-is-*"], "the log also says what is in the way of `current`", [
        more_lines("WRN `current` is in the way "),
    ]),
    (["add-upgrade/height-negative"], "a height that means nothing is told", [
        more_lines("WRN an upgrade height must be greater than 0"),
    ]),
    (["prepare/*"], "the log also tells what is fetched from where", [
        more_lines("INF fetching the release .*url=", "INF release fetched .*binary="),
    ]),
    # the command line
    (["cli/unknown-command-start"], "start without run works as it did before 1.2, with a warning", [
        accept("stderr", has=["deprecated"]),
    ]),
    (["run/bare-start"], "start without run works as it did before 1.2, with a warning", [
        exits(0),
        accept("stderr", has=["deprecated", "^to stderr$"]),
        accept("log", has=[r'running app args=\["start","a","b"\]']),
        prints("stdout", "args: 3 start a b", "cwd: {home}/cosmovisor", "home: {home}", "stdin: "),
        entry("cosmovisor/current", "-> genesis"),
    ]),
    (["version/json"], "version -o json prints valid JSON whether or not the log is on", [
        exits(0),
        prints("stderr", '{"cosmovisor_version":"<version>","app_version":{"name":"dummyd","version":"1.2.3"}}'),
    ]),
    (["version/json-not-json"], "the JSON parser's own words differ", [
        accept("stderr", has=["^Error: can't print version output, expected valid json from APP, got: args: 4 version"]),
    ]),
    (["version/no-data"], "version needs no data directory, because it watches nothing", [
        exits(0),
        accept("log", has=[r'running app args=\["version"\] .*path={home}/cosmovisor/genesis/']),
        prints("stdout", "1.2.3"),
        prints("stderr", "cosmovisor version: <version>", "rest: version"),
        entry("cosmovisor/current", "-> genesis"),
    ]),
    (["version/config-flag"], "version takes its settings from the file that it is given; upstream passes over the flag", [
        exits(1),
        prints("log"),
        prints("stdout"),
        accept("stderr", has=["^cosmovisor version: <version>$", "^Error: failed to run version command: config not found: at {home}/nope.toml"]),
        entry("cosmovisor/current", None),
    ]),
    # the configuration
    (["config/file-missing-keys"], "keys missing from a file take their documented defaults", [
        exits(0),
        accept("stderr", has=["DAEMON_RESTART_AFTER_UPGRADE: true", "DAEMON_POLL_INTERVAL: 300ms",
                              "DAEMON_DATA_BACKUP_DIR: {home}$", "COSMOVISOR_COLOR_LOGS: true"]),
    ]),
    (["config/file-missing-keys-and-variables"], "keys missing from a file take variables, or their documented defaults", [
        accept("stderr", has=["DAEMON_RESTART_AFTER_UPGRADE: true", "DAEMON_RESTART_DELAY: 2s", "DAEMON_POLL_INTERVAL: 300ms"]),
    ]),
    (["config/file-duration-zero", "config/file-duration-negative"],
     "durations in a file must be greater than zero; upstream panics when it runs", [
        exits(1),
        accept("stderr", has=[r"^Error: invalid: DAEMON_\w+: must be greater than 0, got .* in {home}/cosmovisor/config.toml$"]),
    ]),
    (["config/file-no-toml", "config/file-twice-the-same-key"], "the TOML parser's own words differ, and tell the line", [
        accept("stderr", has=["^Error: failed to read config file: While parsing config: toml: .*line"]),
    ]),
    (["init/bad-settings-are-dropped"], "settings that cannot be read take their defaults in the new file, not zero, and are told", [
        accept("log", has=["checking on the genesis/bin directory", "config.toml created at"]),
        accept("stderr"),
        entry("cosmovisor/config.toml", text_has(
            "daemon_restart_after_upgrade = true", "daemon_poll_interval = 300000000", "daemon_preupgrade_max_retries = 0")),
    ]),
    # adding upgrades
    (["add-upgrade/executable-is-directory"], "nothing is made before it is known that there is a binary to add", [
        no_entries("^cosmovisor/upgrades/"),
    ]),
    (["add-upgrade/empty-name"], "a name that cannot name a release is refused; upstream puts the binary where none is looked for", [
        exits(1),
        prints("log"),
        accept("stderr", has=['^Error: upgrade name "" cannot be used as a directory name$']),
        no_entries("^cosmovisor/upgrades/"),
    ]),
    (["add-upgrade/height-no-data"], "the error says that the plan was not written; upstream speaks of the binary, which was", [
        accept("stderr", has=["^Error: failed to write the plan to {home}/data/upgrade-info.json: no such file or directory"]),
    ]),
    (["add-upgrade/height-exists-forced"], "a plan that is overwritten is told, and the new one has the mode of a new one", [
        more_lines("WRN overwriting the plan that is there height=49 .*name=chain2"),
        entry("data/upgrade-info.json", ["0755", ['{"name":"chain2","time":"0001-01-01T00:00:00Z","height":300}']]),
    ]),
    (["batch/list-two-fields", "batch/list-height-zero"], "a list is read to its end before anything is made of it", [
        exits(1),
        prints("log"),
        accept("stderr", has=[r"^Error: .*at position [01] \(.*\) is invalid$"]),
        no_entries("^cosmovisor/upgrades/"),
        no_entries("^data/upgrade-info.json.a$"),
    ]),
    (["batch/file-empty"], "an empty list is written as one, and told; upstream writes null", [
        more_lines("WRN no upgrades are given; the list {home}/data/upgrade-info.json.batch is emptied"),
        entry("data/upgrade-info.json.batch", ["0600", ["[]"]]),
    ]),
    # signals
    (["signal/int", "signal/hup"], "every signal is forwarded; upstream dies of it and leaves the node behind", [
        exits(0),
        accept("stdout", has=["^ready$", "^got (INT|HUP)$"]),
    ]),
    # stopping
    (["upgrade/*", "pre-upgrade/*", "download/*", "batch-run/*"],
     "the node is asked to stop and waited for; upstream kills it at once", [
        loosely("stdout", "^asked to stop$"),
        telling_more(optional=GENTLE),
    ]),
    (["upgrade/dies-at-once"], "whether the node has ended before it can be stopped is a matter of milliseconds", [
        telling_more(optional=GENTLE + "|daemon shutting down in an attempt to restart"),
    ]),
    (["download/*"], "what can be fetched is fetched before the node is stopped", [
        telling_more(optional=GENTLE, ordered=False),
    ]),
    # plans
    (["upgrade/height-as-text"], "heights may be texts, as later SDKs write them", SWITCHED),
    (["upgrade/plan-n*", "upgrade/plan-is-directory"], "a malformed plan is waited for and told; upstream panics and leaves the node behind", [
        exits(0),
        prints("stderr"),
        accept("log", has=["running app", "(WRN|ERR)"]),
    ]),
    (["upgrade/due-before-the-start"], "a plan that is due is applied before the old binary is started", [
        accept("log", has=["upgrade detected, relaunching|" + STARTS_CHAIN2], lacks=[STARTS_GENESIS]),
        accept("stdout", has=["^Chain 2 is live!", "^Finished"], lacks=["Genesis"]),
    ]),
    (["upgrade/status-fails-and-dies"], "a plan written by a node that then dies is due, whatever its status command says", SWITCHED),
    (["upgrade/status-fails-and-dies-at-every-start"], "a node that dies at every start with a plan in place is upgraded", [
        accept("exit", 0), accept("exit", 1),
        accept("log", 0), accept("log", 1),
        accept("stdout", 0), accept("stdout", 1, has=["^Chain 2 is live!"]),
        accept("stderr", 0), prints("stderr", step=1),
        entry("cosmovisor/current", "-> upgrades/chain2"),
        entry(CHAIN2_INFO, text_has('"name":"chain2"')),
    ]),
    (["upgrade/hand-made-link"], "the plan of the release that runs is not applied again", [
        accept("log", has=[STARTS_CHAIN2], lacks=["daemon shutting down", "relaunching"]),
        accept("stdout", has=["^Chain 2 is live!", "^Finished"], lacks=["(?s)is live!.*is live!"]),
        entry(CHAIN2_INFO, None),
    ]),
    (["upgrade/skip-height", "upgrade/skip-heights"], "a skipped plan leaves the node running; upstream kills it", LEFT_ALONE),
    (["upgrade/skip-height-with-*"], "skipped heights are understood in every form the node takes", LEFT_ALONE),
    # backups
    (["upgrade/backup*", "upgrade/two-in-a-row*"], "a manifest tells whether a backup is whole", [
        more_entries(r"data-backup-<date>/MANIFEST\.baton\.jsonl$"),
    ]),
    (["upgrade/backup-of-linked-data"], "a data directory behind a link is backed up; upstream copies the link", [
        entry("data-backup-<date>", None),
        more_entries("^data-backup-<date>/$"),
        more_entries("^data-backup-<date>/a$"),
        more_entries("^data-backup-<date>/upgrade-info.json$"),
    ]),
    (["upgrade/two-in-a-row-same-day"], "the second backup of a day is another one; upstream merges it into the first", [
        more_entries("^data-backup-<date>-2/"),
        entry("data-backup-<date>/upgrade-info.json", text_has('"name":"chain2"')),
        accept("log", 1, has=["backup saved at={home}/data-backup-<date>-2 "]),
    ]),
    # pre-upgrade
    (["pre-upgrade/code-2"], "an unknown exit code of pre-upgrade is a failure; upstream takes it for success", [
        exits(1),
        accept("stderr", has=["^Error: pre-upgrade .*exit status 2"]),
        accept("stdout", has=["^Genesis"], lacks=["Chain 2"]),
        accept("log", has=["daemon shutting down"], lacks=["upgrade detected"]),
    ]),
    (["pre-upgrade/code-2", "pre-upgrade/code-30", "pre-upgrade/code-31*"],
     "a failed pre-upgrade puts the link back; upstream runs the new binary without it at the next start", NOT_SWITCHED),
    (["pre-upgrade/code-31*"], "the next start takes up the failed step again", [
        exits(1, step=1),
        accept("stderr", 1, has=[r"^Error: pre-upgrade command failed\. reached max attempt of retries"]),
        accept("stdout", 1, lacks=["Chain 2"]),
        accept("log", 1, lacks=["upgrade detected"]),
        entry("cosmovisor/pre-upgrade-calls", text_has("pre-upgrade 1 in cosmovisor\npre-upgrade 1 in cosmovisor")),
    ]),
    (["pre-upgrade/custom-fails"], "the error names the script that failed", [
        accept("stderr", has=["^Error: the custom pre-upgrade script {home}/cosmovisor/preupgrade.sh failed: exit status 4$"]),
    ]),
    # downloads
    (["download/info-*", "download/other-platform"], "finding the address belongs to the download, and is told as its beginning", [
        telling_more(optional=GENTLE + "|no upgrade binary found, beginning to download it", ordered=False),
    ]),
    (["download/unknown-checksum", "download/info-is-address-*"], "errors name the address they are about", [
        accept("stderr", has=["^Error: (cannot download binary. |cannot parse upgrade info: ).*{http}/.*"
                              "(unsupported checksum type: crc|bad response code: 404|missing checksum query parameter)"]),
    ]),
    (["download/checksum-required"], "a required checksum is required of the binary's address too", [
        exits(1),
        accept("stderr", has=["^Error: .*checksum"]),
        accept("stdout", has=["^Genesis"], lacks=["Chain 2"]),
        accept("log", has=["daemon shutting down"], lacks=["upgrade detected", "downloading binary complete"]),
        *REFUSED,
    ]),
    (["download/*", "prepare/*"], "a record of where a binary came from lies beside it", [
        more_entries(r"^cosmovisor/upgrades/[^/]+/\.baton-fetched\.json$"),
    ]),
    (["download/*", "prepare/*"], "the directory of all upgrades may be there before the first", [
        more_entries("^cosmovisor/upgrades/$"),
    ]),
    (["download/tar-with-binary-at-the-top"], "a binary at the top of an archive is moved to bin; upstream copies it", [
        no_entries("^cosmovisor/upgrades/chain2/dummyd$"),
    ]),
    (["download/missing"], "a failed download leaves nothing behind; upstream leaves an empty file and starts it at the next try", [
        accept("stderr", 0, has=["^Error: .*cannot download binary.*404"]),
        accept("stdout", 1, lacks=["Chain 2"]),
        accept("stderr", 1, has=["^Error: .*cannot download binary.*404"]),
        accept("log", 1, lacks=["upgrade detected", STARTS_UPGRADE]),
        *REFUSED,
    ]),
    (["download/wrong-checksum"], "what fails its checksum is removed; upstream starts it at the next try", [
        exits(1, step=1),
        accept("stderr", 0, has=["cannot download binary", "^Expected: 0{64}$", "^Got: [0-9a-f]{64}$"]),
        accept("stderr", 1, has=["cannot download binary", "^Expected: 0{64}$", "^Got: [0-9a-f]{64}$"]),
        accept("stdout", 1, lacks=["Chain 2"]),
        accept("log", 1, lacks=["upgrade detected", STARTS_UPGRADE]),
        *REFUSED,
    ]),
    (["download/refused"], "a download that may still succeed is tried again; upstream gives up and leaves an empty file", [
        exits("still running after 15 s"),
        prints("stderr"),
        accept("log", has=["no upgrade binary found", "(INF|WRN) .*http://{refused}/raw"], lacks=["upgrade detected"]),
        more_entries(r"^cosmovisor/upgrades/\.fetch-chain2/"),
        entry(CHAIN2_INFO, None),
        no_entries("^cosmovisor/upgrades/chain2/"),
    ]),
    (["download/zip-without-the-binary"], "an archive without the binary leaves nothing behind", REFUSED),
    (["download/directory-exists"], "a leftover directory without a binary is repaired", [
        *SWITCHED,
        more_entries("^cosmovisor/upgrades/chain2/bin/"),
    ]),
    (["download/info-no-json", "prepare/info-no-json"], "the JSON parser's own words differ", [
        accept("stderr", has=["^Error: .*could not parse plan info: "]),
    ]),
    # prepare-upgrade
    (["prepare/upper-case"], "prepare-upgrade lower-cases names as run does", [
        no_entries("^cosmovisor/upgrades/Chain2/"),
        more_entries("^cosmovisor/upgrades/chain2/"),
        accept("log", has=["Upgrade preparation complete"]),
    ]),
    (["prepare/exists"], "a release with another binary is not touched, and named", [
        accept("exit"),
        accept("log", has=["Preparing for upgrade"]),
        accept("stderr", has=["upgrades/chain2"]),
        entry("cosmovisor/upgrades/chain2/bin/dummyd", ["0755", "fixture chain3"]),
    ]),
    (["prepare/missing", "prepare/wrong-checksum"], "a failed download leaves nothing behind", [
        no_entries("^cosmovisor/upgrades/"),
        accept("stderr", has=["^Error: failed to download and verify binary: .*(404|did not match)", "^Usage:"]),
    ]),
    (["prepare/info-is-address"], "the address in the plan is told first, then the one found behind it", [
        accept("log", has=["Downloading upgrade binary .*url={http}/info.json", "fetching the release .*url={http}/raw",
                           "Upgrade preparation complete height=49 module=cosmovisor name=chain2"]),
    ]),
    (["prepare/refused", "prepare/error"], "the gRPC client's own words differ", [
        accept("stderr", has=["^Error: failed to query upgrade info: failed to query current upgrade plan: ", "^Usage:"]),
    ]),
    # batches
    (["batch-run/refused"], "a manual plan runs without gRPC, and what is not there is told once", [
        accept("log", has=[STARTS_GENESIS], lacks=["daemon shutting down"]),
        entry("data/upgrade-info.json", text_has('"name":"chain2"', '"height":60')),
        entry("data/upgrade-info.json.batch", ["0600", ["[]"]]),
    ]),
    (["batch-run/not-json"], "the JSON parser's own words differ", [
        accept("log", has=["(WRN|ERR) failed to load batch upgrade file error="]),
    ]),
    (["run/data-is-file"], "upstream prints a slip of its formatting", [
        accept("stderr", has=["^Error: invalid path: {home}/data must be an existing directory: .*not a directory"]),
    ]),
]


def apply(name, theirs, ours):
    """What is expected of ours, and the reasons why it is not what upstream does."""
    expected = copy.deepcopy(theirs)
    reasons = []
    for patterns, reason, changes in TABLE:
        if expected != ours and any(fnmatch(name, pattern) for pattern in patterns):
            # every change of a row is tried, not only those up to the first that does something
            if any([change(expected, ours) for change in changes]):
                reasons.append(reason)
    return expected, reasons
