"""The table of cases: every command with good and bad input, every setting, and `run` through its
upgrades. A case's name is the name of its recorded answer."""

import hashlib
import json
import signal

import servers
from fixtures import (
    GENESIS,
    SCRIPTS,
    directory,
    file,
    link,
    node,
    release,
    script,
    tarred,
    zipped,
)
from harness import Case, Step

CASES = []


def case(name, *steps, **more):
    steps = [step if isinstance(step, Step) else Step(*step) for step in steps]
    if name.startswith("init/"):
        # it would go into the new file
        more["env"] = {"BATON_RPC_ADDRESS": None, **more.get("env", {})}
    CASES.append(Case(name, *steps, **more))


def plan(name="chain2", height=49, info=""):
    return json.dumps({"name": name, "height": height, "info": info}, separators=(",", ":"))


INFO_FILE = "data/upgrade-info.json"
INFO = "{home}/" + INFO_FILE
CONFIG = "{home}/cosmovisor/config.toml"
COMMANDS = [
    "add-batch-upgrade", "add-upgrade", "completion", "config", "help", "init",
    "prepare-upgrade", "show-upgrade-info", "version",
]
ROOT = directory("cosmovisor")

# --- the command line ---------------------------------------------------------------------------

case("cli/bare", [])
for tag, spelling in (("word", "help"), ("long", "--help"), ("short", "-h")):
    case("cli/help-" + tag, [spelling])
for command in COMMANDS:
    case("cli/help-of-" + command, ["help", command])
    case("cli/flag-help-of-" + command, [command, "--help"])
case("cli/help-of-run", ["help", "run"])
case("cli/help-of-unknown", ["help", "nope"])
for shell in ("bash", "zsh", "fish", "powershell"):
    case("cli/completion-" + shell, ["completion", shell], opaque=True)
    case("cli/flag-help-of-completion-" + shell, ["completion", shell, "-h"])
case("cli/completion-unknown", ["completion", "nope"])
case("cli/completion-bash-too-many", ["completion", "bash", "x"])
case("cli/completion-bash-no-descriptions", ["completion", "bash", "--no-descriptions"], opaque=True)
case("cli/unknown-command", ["nope"])
case("cli/unknown-command-start", ["start", "--home", "x"])
case("cli/unknown-command-near-run", ["rum"])
case("cli/unknown-command-near-version", ["verson"])
case("cli/unknown-command-upper-case", ["RUN"])
case("cli/unknown-flag", ["--nope"])
case("cli/unknown-flag-version", ["--version"])
case("cli/unknown-shorthand", ["-v"])
case("cli/unknown-flag-of-config", ["config", "--nope"])
case("cli/unknown-shorthand-of-config", ["config", "-x"])
case("cli/unknown-flag-of-version", ["version", "--nope"])
case("cli/unknown-flag-of-init", ["init", "--nope"])
case("cli/unknown-flag-of-add-upgrade", ["add-upgrade", "--nope"])
case("cli/config-flag-without-value", ["config", "--cosmovisor-config"])
case("cli/config-flag-short-without-value", ["config", "-c"])
case("cli/config-flag-alone", ["-c", "x"])
case("cli/flag-value-not-boolean", ["add-upgrade", "--force=maybe", "a", "b"])
case("cli/flag-value-not-integer", ["add-upgrade", "--upgrade-height", "x", "a", "b"])
case("cli/flag-value-too-large", ["add-upgrade", "--upgrade-height=99999999999999999999", "a", "b"])

# --- config -------------------------------------------------------------------------------------

case("config/nothing-set", Step("config", env={
    name: None for name in ("DAEMON_HOME", "DAEMON_NAME", "DAEMON_GRPC_ADDRESS", "COSMOVISOR_COLOR_LOGS")
}))
case("config/defaults", Step("config", env={
    "COSMOVISOR_COLOR_LOGS": None, "DAEMON_GRPC_ADDRESS": None,
}), home=[ROOT])
case("config/extra-argument", ["config", "x", "y"], home=[ROOT])
case("config/all-good", ["config"], home=[ROOT, directory("backups")], env={
    "DAEMON_ALLOW_DOWNLOAD_BINARIES": "TRUE",
    "DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM": "true",
    "DAEMON_RESTART_AFTER_UPGRADE": "faLSe",
    "DAEMON_RESTART_DELAY": "600s",
    "DAEMON_SHUTDOWN_GRACE": "1h1m1.5s",
    "DAEMON_POLL_INTERVAL": "1us",
    "UNSAFE_SKIP_BACKUP": "true",
    "DAEMON_DATA_BACKUP_DIR": "{home}/backups",
    "DAEMON_PREUPGRADE_MAX_RETRIES": "-5",
    "COSMOVISOR_DISABLE_LOGS": "true",
    "COSMOVISOR_TIMEFORMAT_LOGS": "rfc3339nano",
    "COSMOVISOR_CUSTOM_PREUPGRADE": "pre upgrade.sh",
    "COSMOVISOR_DISABLE_RECASE": "true",
})
case("config/all-bad", ["config"], env={
    "DAEMON_HOME": "rel",
    "DAEMON_NAME": "",
    "DAEMON_ALLOW_DOWNLOAD_BINARIES": "BaD",
    "DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM": "1",
    "DAEMON_RESTART_AFTER_UPGRADE": "yes",
    "UNSAFE_SKIP_BACKUP": "a\"b\\é\n\t\x01",
    "COSMOVISOR_DISABLE_LOGS": "x",
    "COSMOVISOR_COLOR_LOGS": "x",
    "COSMOVISOR_TIMEFORMAT_LOGS": "Kitchen",
    "COSMOVISOR_DISABLE_RECASE": "x",
    "DAEMON_POLL_INTERVAL": "600",
    "DAEMON_RESTART_DELAY": "bad",
    "DAEMON_SHUTDOWN_GRACE": "0",
    "DAEMON_PREUPGRADE_MAX_RETRIES": "99999999999999999999",
    "DAEMON_DATA_BACKUP_DIR": "rel",
})
case("config/home-without-root", ["config"])
case("config/home-missing", ["config"], env={"DAEMON_HOME": "/no/such/home"})
case("config/root-is-file", ["config"], home=[file("cosmovisor", "")])
case("config/backup-dir-missing", ["config"], home=[ROOT], env={"DAEMON_DATA_BACKUP_DIR": "/no/such"})
case("config/backup-dir-is-file", ["config"], home=[ROOT, file("f", "")], env={"DAEMON_DATA_BACKUP_DIR": "{home}/f"})
case("config/backup-dir-skipped", ["config"], home=[ROOT], env={"DAEMON_DATA_BACKUP_DIR": "x", "UNSAFE_SKIP_BACKUP": "true"})
case("config/time-format-empty", ["config"], home=[ROOT], env={"COSMOVISOR_TIMEFORMAT_LOGS": ""})
for unit in ("-3m", "1d", "1 s", "1.5.5s", "é"):
    tag = hashlib.sha1(unit.encode()).hexdigest()[:4]
    case("config/poll-interval-" + tag, ["config"], home=[ROOT], env={"DAEMON_POLL_INTERVAL": unit})

FULL = """\
daemon_home = '{home}'
daemon_name = 'filed'
daemon_allow_download_binaries = true
daemon_download_must_have_checksum = true
daemon_restart_after_upgrade = false
daemon_restart_delay = 1000000000
daemon_shutdown_grace = '15s'
daemon_poll_interval = 500000000
unsafe_skip_backup = true
daemon_data_backup_dir = '{home}'
daemon_preupgrade_max_retries = 3
daemon_grpc_address = 'localhost:9090'
cosmovisor_disable_logs = false
cosmovisor_color_logs = false
cosmovisor_timeformat_logs = 'kitchen'
cosmovisor_custom_preupgrade = ''
cosmovisor_disable_recase = true
"""
BARE = {name: None for name in ("DAEMON_HOME", "DAEMON_NAME", "DAEMON_GRPC_ADDRESS", "COSMOVISOR_COLOR_LOGS")}


def with_file(text, name="cosmovisor/config.toml"):
    return [ROOT, file(name, text)]


def changed(key, value):
    kept = [line for line in FULL.splitlines() if not line.startswith(key + " ")]
    return "\n".join([*kept, "%s = %s" % (key, value)]) + "\n"


case("config/file", ["config", "-c", CONFIG], home=with_file(FULL), env=BARE)
case("config/file-flag-first", ["--cosmovisor-config=" + CONFIG, "config"], home=with_file(FULL), env=BARE)
case("config/file-is-not-picked-up", ["config"], home=with_file(FULL))
case("config/file-overridden", ["config", "-c", CONFIG], home=with_file(FULL), env={
    **BARE,
    "DAEMON_NAME": "envd",
    "DAEMON_HOME": "",
    "DAEMON_ALLOW_DOWNLOAD_BINARIES": "0",
    "DAEMON_RESTART_DELAY": "3s",
    "DAEMON_PREUPGRADE_MAX_RETRIES": "0x10",
    "COSMOVISOR_TIMEFORMAT_LOGS": "",
})
case("config/file-missing-keys", ["config", "-c", CONFIG], env=BARE,
     home=with_file("daemon_home = '{home}'\ndaemon_name = 'x'\n"))
case("config/file-missing-keys-and-variables", ["config", "-c", CONFIG],
     env={**BARE, "DAEMON_RESTART_DELAY": "2s"},
     home=with_file("daemon_home = '{home}'\ndaemon_name = 'x'\ndaemon_data_backup_dir = '{home}'\n"))
case("config/file-empty-values", ["config", "-c", CONFIG], env=BARE,
     home=with_file(changed("daemon_name", "''").replace("true", "''")))
case("config/file-unknown-keys", ["config", "-c", CONFIG], env=BARE,
     home=with_file(FULL + "later = 1\n[table]\na = 1\n"))
case("config/file-upper-case-keys", ["config", "-c", CONFIG], env=BARE,
     home=with_file(FULL.replace("daemon_name", "DAEMON_Name")))
for tag, key, value in (
    ("bool-word", "daemon_allow_download_binaries", "'maybe'"),
    ("bool-number", "daemon_allow_download_binaries", "2"),
    ("bool-list", "daemon_allow_download_binaries", "[1]"),
    ("duration-word", "daemon_poll_interval", "'bad'"),
    ("duration-bare", "daemon_poll_interval", "'600'"),
    ("duration-float", "daemon_poll_interval", "1.9"),
    ("duration-zero", "daemon_poll_interval", "0"),
    ("duration-negative", "daemon_restart_delay", "-5"),
    ("duration-table", "daemon_restart_delay", "{a = 1}"),
    ("integer-word", "daemon_preupgrade_max_retries", "'x'"),
    ("integer-hex", "daemon_preupgrade_max_retries", "'0x1f'"),
    ("text-number", "cosmovisor_custom_preupgrade", "3"),
    ("text-bool", "cosmovisor_custom_preupgrade", "true"),
    ("text-list", "cosmovisor_custom_preupgrade", "['a', 2]"),
    ("time-format", "cosmovisor_timeformat_logs", "'rfc822'"),
    ("time-format-unknown", "cosmovisor_timeformat_logs", "'noon'"),
    ("backup-dir-empty", "daemon_data_backup_dir", "''"),
):
    text = changed(key, value)
    if tag == "backup-dir-empty":
        text = text.replace("unsafe_skip_backup = true", "unsafe_skip_backup = false")
    case("config/file-" + tag, ["config", "-c", CONFIG], home=with_file(text), env=BARE)
case("config/file-two-bad-types", ["config", "-c", CONFIG], home=with_file(FULL), env={
    **BARE, "UNSAFE_SKIP_BACKUP": "yes", "DAEMON_RESTART_DELAY": "5", "DAEMON_HOME": "rel",
})
case("config/file-no-toml", ["config", "-c", CONFIG], home=with_file("daemon_home = \"\n"), env=BARE)
case("config/file-twice-the-same-key", ["config", "-c", CONFIG], home=with_file(FULL + "daemon_name = 'x'\n"), env=BARE)
case("config/file-missing", ["config", "-c", "{home}/nope.toml"], env=BARE)
case("config/file-is-directory", ["config", "-c", "{home}/d.toml"], home=[directory("d.toml")], env=BARE)
case("config/file-no-extension", ["config", "-c", "{home}/conf"], home=with_file(FULL, "conf"), env=BARE)
case("config/file-odd-extension", ["config", "-c", "{home}/conf.sh"], home=with_file(FULL, "conf.sh"), env=BARE)
case("config/file-empty-name", ["config", "-c", ""], home=[ROOT])

# --- init ---------------------------------------------------------------------------------------

BIN = file("simd", SCRIPTS["plain"], 0o644)
INIT = ["init", "{home}/simd"]
case("init/nothing-set", Step(*INIT, env={"DAEMON_HOME": None, "DAEMON_NAME": None}), home=[BIN])
case("init/relative-home", INIT, home=[BIN], env={"DAEMON_HOME": "rel"})
case("init/no-argument", ["init"])
case("init/two-arguments", ["init", "a", "b"])
case("init/empty-argument", ["init", ""])
case("init/blank-argument", ["init", "  "])
case("init/executable-missing", ["init", "{home}/nope"])
case("init/executable-is-directory", ["init", "{home}"])
case("init/executable-below-file", ["init", "{home}/simd/x"], home=[BIN])
case("init/blank-slate", INIT, home=[BIN])
case("init/relative-executable", ["init", "home/simd"], home=[BIN])
case("init/colours", INIT, home=[BIN], env={"COSMOVISOR_COLOR_LOGS": None})
case("init/logs-disabled", INIT, home=[BIN], env={"COSMOVISOR_DISABLE_LOGS": "true"})
case("init/home-missing", INIT, home=[BIN], env={"DAEMON_HOME": "{tmp}/new/home"})
case("init/twice", INIT, INIT, home=[BIN])
case("init/twice-overwritten", INIT, Step(*INIT, stdin="y\n", env={"DAEMON_RESTART_DELAY": "5s"}), home=[BIN])
case("init/twice-overwritten-upper-case", INIT, Step(*INIT, stdin="Y", env={"DAEMON_RESTART_DELAY": "5s"}), home=[BIN])
case("init/twice-kept", INIT, Step(*INIT, stdin="n\n", env={"DAEMON_RESTART_DELAY": "5s"}), home=[BIN])
case("init/twice-kept-other-word", INIT, Step(*INIT, stdin="yes\n", env={"DAEMON_RESTART_DELAY": "5s"}), home=[BIN])
case("init/settings-exported", INIT, home=[BIN], env={
    "DAEMON_ALLOW_DOWNLOAD_BINARIES": "true", "DAEMON_RESTART_DELAY": "5s", "DAEMON_SHUTDOWN_GRACE": "1m",
    "DAEMON_PREUPGRADE_MAX_RETRIES": "3", "COSMOVISOR_TIMEFORMAT_LOGS": "", "DAEMON_DATA_BACKUP_DIR": "rel",
    "COSMOVISOR_CUSTOM_PREUPGRADE": "it's\t\"a\"\\b\x01é", "DAEMON_GRPC_ADDRESS": None, "DAEMON_NAME": "my d",
})
case("init/bad-settings-are-dropped", INIT, home=[BIN], env={
    "DAEMON_RESTART_AFTER_UPGRADE": "x", "DAEMON_POLL_INTERVAL": "600", "DAEMON_PREUPGRADE_MAX_RETRIES": "x",
})
case("init/root-is-file", INIT, home=[BIN, file("cosmovisor", "")])
case("init/bin-dir-is-file", INIT, home=[BIN, file("cosmovisor/genesis/bin", "")])
case("init/bin-dir-exists", INIT, home=[BIN, directory("cosmovisor/genesis/bin")])
case("init/binary-exists", INIT, home=[BIN, file(GENESIS, "old\n")])
case("init/binary-is-directory", INIT, home=[BIN, directory(GENESIS)])
case("init/current-is-file", INIT, home=[BIN, file("cosmovisor/current", "")])
case("init/current-is-dangling", INIT, home=[BIN, link("cosmovisor/current", "upgrades/gone")])
case("init/current-is-upgrade", INIT, home=[BIN, release("chain2"), link("cosmovisor/current", "upgrades/chain2")])
case("init/upgrades-and-no-current", INIT, home=[BIN, script(GENESIS, "plain"), release("a"), release("b")])
case("init/config-flag-is-not-read", [*INIT, "-c", "{home}/nope.toml"], home=[BIN])

# --- add-upgrade --------------------------------------------------------------------------------

ADD = ["add-upgrade", "chain2", "{home}/simd"]
case("add-upgrade/no-argument", ["add-upgrade"])
case("add-upgrade/one-argument", ["add-upgrade", "chain2"])
case("add-upgrade/three-arguments", [*ADD, "x"])
case("add-upgrade/nothing-set", Step(*ADD, env={"DAEMON_HOME": None, "DAEMON_NAME": None}), home=[BIN])
case("add-upgrade/good", ADD, home=[BIN, ROOT])
case("add-upgrade/executable-missing", ["add-upgrade", "chain2", "{home}/nope"], home=[ROOT])
case("add-upgrade/executable-is-directory", ["add-upgrade", "chain2", "{home}"], home=[ROOT])
case("add-upgrade/empty-name", ["add-upgrade", "", "{home}/simd"], home=[BIN, ROOT])
case("add-upgrade/upper-case", ["add-upgrade", "Chain2", "{home}/simd"], home=[BIN, ROOT])
case("add-upgrade/upper-case-kept", ["add-upgrade", "Chain2", "{home}/simd"], home=[BIN, ROOT],
     env={"COSMOVISOR_DISABLE_RECASE": "true"})
case("add-upgrade/odd-name", ["add-upgrade", "a b/ü?%~$&+=:@,;", "{home}/simd"], home=[BIN, ROOT])
case("add-upgrade/exists", ADD, home=[BIN, release("chain2")])
case("add-upgrade/exists-forced", [*ADD, "--force"], home=[BIN, release("chain2")])
case("add-upgrade/directory-exists", ADD, home=[BIN, directory("cosmovisor/upgrades/chain2")])
case("add-upgrade/bin-is-file", ADD, home=[BIN, file("cosmovisor/upgrades/chain2/bin", "")])
case("add-upgrade/height", [*ADD, "--upgrade-height", "300"], home=[BIN, ROOT, directory("data")])
case("add-upgrade/height-upper-case", ["add-upgrade", "Chain2", "{home}/simd", "--upgrade-height=300"],
     home=[BIN, ROOT, directory("data")])
case("add-upgrade/height-no-data", [*ADD, "--upgrade-height", "300"], home=[BIN, ROOT])
case("add-upgrade/height-zero", [*ADD, "--upgrade-height=0"], home=[BIN, ROOT, directory("data")])
case("add-upgrade/height-negative", [*ADD, "--upgrade-height=-3"], home=[BIN, ROOT, directory("data")])
case("add-upgrade/height-exists", [*ADD, "--upgrade-height", "300"], home=[BIN, ROOT, file(INFO_FILE, plan())])
case("add-upgrade/height-exists-forced", [*ADD, "--upgrade-height", "300", "--force"],
     home=[BIN, ROOT, file(INFO_FILE, plan())])
case("add-upgrade/from-file", [*ADD, "-c", CONFIG], env=BARE, home=[BIN, file("cosmovisor/config.toml", FULL)])
case("add-upgrade/logs-disabled", ADD, home=[BIN, ROOT], env={"COSMOVISOR_DISABLE_LOGS": "true"})

# --- add-batch-upgrade --------------------------------------------------------------------------

BATCH = "add-batch-upgrade"
DATA = [BIN, ROOT, directory("data")]
case("batch/nothing", [BATCH], home=DATA)
case("batch/both", [BATCH, "--upgrade-file", "a", "--upgrade-list", "b"], home=DATA)
case("batch/extra-argument", [BATCH, "x", "--upgrade-list", "a:{home}/simd:10"], home=DATA)
case("batch/nothing-set", Step(BATCH, "--upgrade-list", "a:b:1", env={"DAEMON_HOME": None, "DAEMON_NAME": None}))
case("batch/list", [BATCH, "--upgrade-list", "b:{home}/simd:20,a:{home}/simd:10"], home=DATA)
case("batch/list-upper-case", [BATCH, "--upgrade-list", "Chain2:{home}/simd:20"], home=DATA)
case("batch/list-odd-name", [BATCH, "--upgrade-list", "x/../my chain:{home}/simd:20"], home=DATA)
case("batch/list-two-fields", [BATCH, "--upgrade-list", "a:{home}/simd:10,b:20"], home=DATA)
case("batch/list-bad-height", [BATCH, "--upgrade-list", "a:{home}/simd:ten"], home=DATA)
case("batch/list-height-zero", [BATCH, "--upgrade-list", "a:{home}/simd:0"], home=DATA)
case("batch/list-executable-missing", [BATCH, "--upgrade-list", "a:{home}/nope:10"], home=DATA)
case("batch/list-empty", [BATCH, "--upgrade-list", ""], home=DATA)
case("batch/list-twice", [BATCH, "--upgrade-list", "a:{home}/simd:10"],
     [BATCH, "--upgrade-list", "b:{home}/simd:5"], home=DATA)
case("batch/file", [BATCH, "--upgrade-file", "{home}/list.csv"],
     home=[*DATA, file("list.csv", "a, {home}/simd, 10\nb,{home}/simd,20\n")])
case("batch/file-missing", [BATCH, "--upgrade-file", "{home}/nope.csv"], home=DATA)
case("batch/file-two-fields", [BATCH, "--upgrade-file", "{home}/list.csv"],
     home=[*DATA, file("list.csv", "a,{home}/simd\n")])
case("batch/file-uneven", [BATCH, "--upgrade-file", "{home}/list.csv"],
     home=[*DATA, file("list.csv", "a,{home}/simd,10\nb,20\n")])
case("batch/file-empty", [BATCH, "--upgrade-file", "{home}/list.csv"], home=[*DATA, file("list.csv", "")])
case("batch/file-bad-height", [BATCH, "--upgrade-file", "{home}/list.csv"],
     home=[*DATA, file("list.csv", "a,{home}/simd,x\n")])

# --- show-upgrade-info --------------------------------------------------------------------------

SHOW = ["show-upgrade-info"]
case("show/missing", SHOW, home=[ROOT])
case("show/no-data", SHOW, home=[ROOT])
case("show/one-line", SHOW, home=[ROOT, file(INFO_FILE, plan())])
case("show/any-text", SHOW, home=[ROOT, file(INFO_FILE, "not\njson\n")])
case("show/empty", SHOW, home=[ROOT, file(INFO_FILE, "")])
case("show/is-directory", SHOW, home=[ROOT, directory(INFO_FILE)])
case("show/extra-argument", [*SHOW, "x"], home=[ROOT])
case("show/nothing-set", Step(*SHOW, env={"DAEMON_HOME": None, "DAEMON_NAME": None}))
case("show/from-file", [*SHOW, "-c", CONFIG], env=BARE,
     home=[file("cosmovisor/config.toml", FULL), file(INFO_FILE, plan())])

# --- prepare-upgrade ----------------------------------------------------------------------------


def digest(body, kind="sha256"):
    return kind + ":" + hashlib.new(kind, body).hexdigest()


PLATFORMS = ("linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64")
CHAIN2, CHAIN3 = SCRIPTS["chain2"].encode(), SCRIPTS["chain3"].encode()


def binaries(url, *keys):
    return json.dumps({"binaries": {key: url for key in keys or PLATFORMS}}, separators=(",", ":"))


def at(path, body=None, kind="sha256"):
    """The address of a served file, with the checksum of the body if that is given."""
    return "{http}" + path + ("?checksum=" + digest(body, kind) if body is not None else "")


def served(body):
    """A body that is the same in every case, or a text with places."""
    return lambda fill: fill(body).encode() if isinstance(body, str) else body


WRONG = "sha256:" + "0" * 64
ONE = zipped(("anything", "chain2"))
WHOLE = zipped(("bin/dummyd", "chain2"), ("README", "plain"))
FLAT = tarred(("dummyd", "chain2"), ("README", "plain"))
NOT_IT = zipped(("other", "chain2"), ("README", "plain"))
SERVED = {path: served(body) for path, body in {
    "/raw": CHAIN2, "/one.zip": ONE, "/whole.zip": WHOLE, "/flat.tar.gz": FLAT, "/not-it.zip": NOT_IT,
    "/info.json": binaries("{http}/raw"), "/blank": b"  \n",
}.items()}


def prepare(name, info, plan_name="chain2", home=()):
    def answer(fill):
        return {"message": servers.current_plan(plan_name, 49, fill(info)) if info is not None else b""}

    case("prepare/" + name, ["prepare-upgrade"], home=node("plain", *home),
         env={"DAEMON_GRPC_ADDRESS": "{grpc}"}, http=SERVED, grpc=answer)


case("prepare/nothing-set", Step("prepare-upgrade", env={"DAEMON_HOME": None, "DAEMON_NAME": None}))
case("prepare/refused", ["prepare-upgrade"], home=node("plain"))
case("prepare/extra-argument", ["prepare-upgrade", "x"], home=node("plain"))
case("prepare/error", ["prepare-upgrade"], home=node("plain"), env={"DAEMON_GRPC_ADDRESS": "{grpc}"},
     grpc=lambda _: {"status": 12, "reason": "unknown service"})
prepare("no-plan", None)
prepare("info-empty", "")
prepare("info-no-json", "hello")
prepare("info-no-binaries", "{}")
prepare("info-other-platform", binaries(at("/raw"), "plan9/mips"))
prepare("good", binaries(at("/raw", CHAIN2)))
prepare("good-zip", binaries(at("/whole.zip", WHOLE)))
prepare("no-checksum", binaries(at("/raw")))
prepare("upper-case", binaries(at("/raw", CHAIN2)), plan_name="Chain2")
prepare("odd-name", binaries(at("/raw", CHAIN2)), plan_name="a b/c")
prepare("missing", binaries(at("/nope")))
prepare("wrong-checksum", binaries(at("/raw") + "?checksum=" + WRONG))
prepare("exists", binaries(at("/raw", CHAIN2)), home=[release("chain2", "chain3")])
prepare("info-is-address", "{http}/info.json")

# --- version ------------------------------------------------------------------------------------

case("version/nothing-set", Step("version", env={"DAEMON_HOME": None, "DAEMON_NAME": None}))
case("version/only", ["version", "--cosmovisor-only"])
case("version/only-json", ["version", "--cosmovisor-only", "-o", "json"])
case("version/only-text", ["version", "--cosmovisor-only", "--output=text"])
case("version/bad-output", ["version", "-o", "yaml"], home=node("version"))
case("version/good", ["version"], home=node("version"))
case("version/extra-arguments", ["version", "a", "b"], home=node("version"))
case("version/no-data", ["version"], home=[script(GENESIS, "version")])
case("version/no-genesis", ["version"], home=[ROOT, directory("data")])
case("version/app-fails", ["version"], home=node("version"), env={"EXIT_WITH": "3"})
case("version/json", ["version", "-o", "json"], home=node("version"))
case("version/json-upper-case", ["version", "--output", "JSON"], home=node("version"))
case("version/json-logs-disabled", ["version", "-o", "json"], home=node("version"), env={"COSMOVISOR_DISABLE_LOGS": "true"})
case("version/json-app-fails", ["version", "-o", "json"], home=node("version"),
     env={"COSMOVISOR_DISABLE_LOGS": "true", "EXIT_WITH": "3"})
case("version/json-not-json", ["version", "-o", "json"], home=node("telling"), env={"COSMOVISOR_DISABLE_LOGS": "true"})
case("version/json-nothing-set", Step("version", "-o", "json", env={"DAEMON_HOME": None, "DAEMON_NAME": None}))
case("version/config-flag", ["version", "-c", "{home}/nope.toml"], home=node("version"))

# --- run: starting the node ---------------------------------------------------------------------

RUN = ["run", "start"]
case("run/nothing-set", Step(*RUN, env={"DAEMON_HOME": None, "DAEMON_NAME": None}))
case("run/no-data", RUN, home=[script(GENESIS, "telling")])
case("run/data-is-file", RUN, home=[script(GENESIS, "telling"), file("data", "")])
case("run/no-genesis", RUN, home=[ROOT, directory("data")])
case("run/good", Step("run", "start", "a b", "--flag=x", stdin="hello\n"), home=node("telling"))
case("run/no-arguments", ["run"], home=node("telling"))
for tag, flag in (("long", "--help"), ("short", "-h"), ("config", "-c")):
    case("run/passes-on-" + tag, ["run", flag, "x"], home=node("telling"))
case("run/passes-on-help-word", ["run", "help"], home=node("telling"))
case("run/passes-on-version-word", ["run", "version"], home=node("version"))
case("run/json-line", ["run", "version", "--long", "--output", "json"], home=node("version"))
case("run/double-dash", ["run", "--", "x"], home=node("telling"))
for code in (3, 137):
    case("run/app-exits-%d" % code, RUN, home=node("telling"), env={"EXIT_WITH": str(code)})
case("run/app-killed", RUN, home=[file(GENESIS, "#!/bin/sh\nkill -KILL $$\n", 0o755), directory("data")])
case("run/app-is-no-program", RUN, home=[file(GENESIS, "", 0o755), directory("data")])
case("run/app-has-no-interpreter", RUN, home=[file(GENESIS, "#!/no/such/sh\n", 0o755), directory("data")])
case("run/app-not-executable", RUN, home=[script(GENESIS, "telling", 0o640), directory("data")])
case("run/app-is-directory", RUN, home=[directory(GENESIS), directory("data")])
case("run/app-is-link", RUN, home=[script("bin/real", "telling"), link(GENESIS, "{home}/bin/real"), directory("data")])
case("run/current-dangling", RUN, home=node("telling", link("cosmovisor/current", "upgrades/gone")))
case("run/current-is-file", RUN, home=node("telling", file("cosmovisor/current", "")))
case("run/current-is-directory", RUN, home=node("telling", script("cosmovisor/current/bin/dummyd", "chain2")))
case("run/current-absolute", RUN,
     home=node("telling", release("chain2"), link("cosmovisor/current", "{home}/cosmovisor/upgrades/chain2")))
case("run/current-relative", RUN,
     home=node("telling", release("chain2"), link("cosmovisor/current", "upgrades/chain2")))
case("run/current-to-release-without-binary", RUN,
     home=node("telling", directory("cosmovisor/upgrades/chain2"), link("cosmovisor/current", "upgrades/chain2")))
case("run/current-outside", RUN,
     home=node("telling", script("elsewhere/bin/dummyd", "chain2"), link("cosmovisor/current", "{home}/elsewhere")))

FILED = [script("cosmovisor/genesis/bin/filed", "telling"), file("cosmovisor/config.toml", FULL), directory("data")]
for tag, args in (
    ("before", ["--cosmovisor-config", CONFIG, "run", "a", "b"]),
    ("before-equals", ["--cosmovisor-config=" + CONFIG, "run", "a", "b"]),
    ("before-short", ["-c", CONFIG, "run", "a", "b"]),
    ("first", ["run", "--cosmovisor-config", CONFIG, "a", "b"]),
    ("between", ["run", "a", "--cosmovisor-config", CONFIG, "b"]),
    ("last", ["run", "a", "b", "--cosmovisor-config", CONFIG]),
    ("one-dash", ["run", "-cosmovisor-config", CONFIG, "a"]),
    ("upper-case", ["run", "--COSMOVISOR-config", CONFIG, "a"]),
    ("twice", ["run", "--cosmovisor-config", CONFIG, "--cosmovisor-config", CONFIG, "a"]),
    ("no-value", ["run", "a", "--cosmovisor-config"]),
    ("missing", ["run", "--cosmovisor-config", "{home}/nope.toml", "a"]),
):
    # what listens on the file's gRPC address is no business of these cases
    case("run/config-file-" + tag, args, home=FILED, env={**BARE, "DAEMON_GRPC_ADDRESS": "{refused}"})
case("run/config-file-equals-is-passed-on", ["run", "--cosmovisor-config=" + CONFIG, "a"], home=node("telling"))

case("run/bare-start", ["start", "a", "b"], home=node("telling"))

# --- run: the log -------------------------------------------------------------------------------

QUICK = node("plain")
case("log/colours", RUN, home=QUICK, env={"COSMOVISOR_COLOR_LOGS": None})
case("log/no-color", RUN, home=QUICK, env={"COSMOVISOR_COLOR_LOGS": None, "NO_COLOR": "1"})
case("log/no-color-empty", RUN, home=QUICK, env={"COSMOVISOR_COLOR_LOGS": None, "NO_COLOR": ""})
case("log/disabled", RUN, home=QUICK, env={"COSMOVISOR_DISABLE_LOGS": "true"})
case("log/arguments", ["run", "a b", 'q"u', "é", "", "<&>", "\x01", "back\\slash"], home=QUICK)
case("log/odd-path", RUN, env={"DAEMON_NAME": 'my "d" é\\'},
     home=[script('cosmovisor/genesis/bin/my "d" é\\', "plain"), directory("data")])
for name in ("layout", "ansic", "unixdate", "rubydate", "rfc822", "rfc822z", "rfc850", "rfc1123", "rfc1123z",
             "rfc3339", "rfc3339nano", "kitchen", ""):
    case("log/time-" + (name or "empty"), RUN, home=QUICK, env={"COSMOVISOR_TIMEFORMAT_LOGS": name}, shape_times=True)

# --- run: signals -------------------------------------------------------------------------------

for name in ("TERM", "QUIT", "INT", "HUP"):
    number = getattr(signal, "SIG" + name)
    case("signal/" + name.lower(), Step(*RUN, signals=[("ready", number)]), home=node("waiting"))
case("signal/term-app-exits-3", Step(*RUN, signals=[("ready", signal.SIGTERM)]), home=node("waiting"), env={"EXIT_WITH": "3"})
case("signal/term-app-dies", Step(*RUN, signals=[("plain", signal.SIGTERM)]),
     home=[file(GENESIS, "#!/bin/sh\nsleep 0.3; echo plain\nexec sleep 20\n", 0o755), directory("data")])

# --- run: upgrades ------------------------------------------------------------------------------


def asking(text, *more, **options):
    return Step("run", "start", text, INFO, *more, **options)


TWO = node("asking", release("chain2"))
DATA_FILES = (file("data/app.db/1.sst", "immutable\n"), file("data/app.db/LOG", "log\n", 0o600),
              file("data/empty/keep", ""), link("data/link", "app.db/LOG"))
SKIP = {"UNSAFE_SKIP_BACKUP": "true"}
case("upgrade/simple", asking(plan()), ["run", "second", "run", "--verbose"], home=TWO, env=SKIP)
case("upgrade/restart-off", asking(plan()), ["run", "again"], home=TWO,
     env={**SKIP, "DAEMON_RESTART_AFTER_UPGRADE": "false"})
case("upgrade/upper-case", asking(plan("Chain2")), home=TWO, env=SKIP)
case("upgrade/upper-case-kept", asking(plan("Chain2")), home=node("asking", release("Chain2"), release("chain2", "chain3")),
     env={**SKIP, "COSMOVISOR_DISABLE_RECASE": "true"})
case("upgrade/odd-name", asking(plan("a b/c")), home=node("asking", release("a%20b%2Fc")), env=SKIP)
case("upgrade/grace", asking(plan()), home=node("flushing", release("chain2")), env={**SKIP, "DAEMON_SHUTDOWN_GRACE": "5s"})
case("upgrade/grace-exceeded", asking(plan()),
     home=[file(GENESIS, SCRIPTS["asking"].replace("trap 'echo asked to stop; exit 0'", "trap ''"), 0o755),
           directory("data"), release("chain2")],
     env={**SKIP, "DAEMON_SHUTDOWN_GRACE": "700ms"})
case("upgrade/restart-delay", asking(plan()), home=TWO, env={**SKIP, "DAEMON_RESTART_DELAY": "300ms"})
case("upgrade/backup", asking(plan()), home=(*TWO, *DATA_FILES))
case("upgrade/backup-elsewhere", asking(plan()), home=(*TWO, *DATA_FILES, directory("backups")),
     env={"DAEMON_DATA_BACKUP_DIR": "{home}/backups"})
case("upgrade/backup-of-linked-data", asking(plan()),
     home=[script(GENESIS, "asking"), release("chain2"), directory("disk"), file("disk/a", "a\n"), link("data", "{home}/disk")])
case("upgrade/two-in-a-row-same-day", asking(plan()), Step("run", "start", plan("chain3", 50), INFO),
     home=node("asking", release("chain2", "asking"), release("chain3"), *DATA_FILES))
case("upgrade/height-as-text", asking('{"name":"chain2","height":"49","info":""}'), home=TWO, env=SKIP)
case("upgrade/with-time", asking('{"name":"chain2","time":"0001-01-01T00:00:00Z","height":49,"info":"x"}'), home=TWO, env=SKIP)
case("upgrade/no-info", asking('{"name":"chain2","height":49}'), home=TWO, env=SKIP)
case("upgrade/no-binary", asking(plan("chain9")), home=TWO, env=SKIP)
case("upgrade/directory-without-binary", asking(plan("nobin")),
     home=(*TWO, directory("cosmovisor/upgrades/nobin/bin")), env=SKIP)
case("upgrade/binary-is-directory", asking(plan("nobin")),
     home=(*TWO, directory("cosmovisor/upgrades/nobin/bin/dummyd")), env=SKIP)
case("upgrade/binary-not-executable", asking(plan()),
     home=node("asking", script("cosmovisor/upgrades/chain2/bin/dummyd", "chain2", 0o644)), env=SKIP)
case("upgrade/current-absolute", asking(plan()), env=SKIP,
     home=(*TWO, link("cosmovisor/current", "{home}/cosmovisor/genesis")))

DYING = node("dying", release("chain2"))
STOPPING = {**SKIP, "DIE_AFTER": "2", "DIE_WITH": "0"}
for tag, text in (("not-json", "nonsense"), ("no-name", '{"height":49}'), ("no-height", '{"name":"chain2"}'),
                  ("name-is-number", '{"name":2,"height":49}')):
    case("upgrade/plan-" + tag, asking(text), home=DYING, env=STOPPING)
case("upgrade/plan-empty", RUN, home=(*DYING, file(INFO_FILE, "")), env=STOPPING)
case("upgrade/plan-is-directory", RUN, home=(*DYING, directory(INFO_FILE)), env=STOPPING)
case("upgrade/dies-at-the-height", asking(plan()), home=DYING, env={**SKIP, "DIE_AFTER": "2"})
case("upgrade/dies-at-once", asking(plan()), home=DYING, env={**SKIP, "DIE_AFTER": "0"})
case("upgrade/exits-cleanly", asking(plan()), home=DYING, env=STOPPING)
case("upgrade/status-old-casing", asking(plan()), home=DYING, env={**STOPPING, "STATUS_OLD": "1"})
case("upgrade/status-fails-and-dies", asking(plan()), home=DYING, env={**SKIP, "STATUS_FAILS": "1"})
case("upgrade/status-fails-and-dies-at-every-start", RUN, RUN, home=(*DYING, file(INFO_FILE, plan())),
     env={**SKIP, "STATUS_FAILS": "1", "DIE_AFTER": "0.3"})
# written as a node writes it, readable only for its owner
case("upgrade/due-before-the-start", ["run", "start"], home=(*DYING, file(INFO_FILE, plan(), 0o600)), env=SKIP)
case("upgrade/already-done", ["run", "start"], env=SKIP,
     home=(*node("telling", release("chain2")), file(INFO_FILE, plan()), link("cosmovisor/current", "upgrades/chain2"),
           file("cosmovisor/upgrades/chain2/upgrade-info.json", plan())))
case("upgrade/hand-made-link", ["run", "start"], env=SKIP,
     home=(*node("telling", release("chain2")), file(INFO_FILE, plan()), link("cosmovisor/current", "upgrades/chain2")))
case("upgrade/future-height", ["run", "start"], env={**SKIP, "DIE_AFTER": "2"},
     home=(*DYING, file(INFO_FILE, plan(height=2000))))
case("upgrade/added-with-height", ["add-upgrade", "chain2", "{home}/new", "--upgrade-height", "500"], ["run", "start"],
     home=(*node("asking"), script("new", "chain2")), env=SKIP)
for tag, flags in (
    ("skip-height", ["--unsafe-skip-upgrades", "49"]),
    ("skip-heights", ["--unsafe-skip-upgrades", "10", "49", "--other"]),
    ("skip-other-height", ["--unsafe-skip-upgrades", "10"]),
    ("skip-height-with-commas", ["--unsafe-skip-upgrades", "10,49"]),
    ("skip-height-with-equals", ["--unsafe-skip-upgrades=49"]),
):
    case("upgrade/" + tag, asking(plan(), *flags), home=DYING, env=STOPPING)

# --- run: pre-upgrade ---------------------------------------------------------------------------

PRE = script("cosmovisor/preupgrade.sh", "preupgrade", 0o644)
CUSTOM = {**SKIP, "COSMOVISOR_CUSTOM_PREUPGRADE": "preupgrade.sh"}
case("pre-upgrade/custom", asking(plan()), home=(*TWO, PRE), env=CUSTOM)
case("pre-upgrade/custom-upper-case", asking(plan("Chain2")), home=(*TWO, PRE), env=CUSTOM)
case("pre-upgrade/custom-missing", asking(plan()), home=TWO, env=CUSTOM)
case("pre-upgrade/custom-is-directory", asking(plan()), home=(*TWO, directory("cosmovisor/preupgrade.sh")), env=CUSTOM)
case("pre-upgrade/custom-fails", asking(plan()), home=(*TWO, PRE), env={**CUSTOM, "PREUPGRADE_WITH": "4"})
for code in (0, 1, 2, 30):
    case("pre-upgrade/code-%d" % code, asking(plan()), home=(*TWO, file("cosmovisor/pre-upgrade-code", str(code))), env=SKIP)
for retries in (0, 2, -1):
    case("pre-upgrade/code-31-retries-%d" % retries, asking(plan()), ["run", "again"],
         home=(*TWO, file("cosmovisor/pre-upgrade-code", "31")),
         env={**SKIP, "DAEMON_PREUPGRADE_MAX_RETRIES": str(retries)})

# --- run: downloads -----------------------------------------------------------------------------

FETCH = {**SKIP, "DAEMON_ALLOW_DOWNLOAD_BINARIES": "true"}
STRICT = {**FETCH, "DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM": "true"}


def fetch(name, info, env=FETCH, home=(), again=0, limit_s=60):
    text = plan(info=info)
    more = [Step("run", "again", text, INFO)] * again
    case("download/" + name, asking(text, limit_s=limit_s), *more, home=node("dying", *home),
         env={"DIE_AFTER": "2", **env}, http=SERVED)


fetch("not-allowed", binaries(at("/raw")), env=SKIP)
fetch("raw", binaries(at("/raw")))
for kind in ("md5", "sha1", "sha256", "sha512"):
    fetch("raw-" + kind, binaries(at("/raw", CHAIN2, kind)))
fetch("any", binaries(at("/raw"), "any"))
fetch("other-platform", binaries(at("/raw"), "plan9/mips"))
fetch("wrong-checksum", binaries(at("/raw") + "?checksum=" + WRONG), again=1)
fetch("unknown-checksum", binaries(at("/raw") + "?checksum=crc:00"))
fetch("missing", binaries(at("/nope")), again=1)
fetch("refused", binaries("http://{refused}/raw"), limit_s=15)
fetch("zip-of-one-file", binaries(at("/one.zip", ONE)))
fetch("zip-with-bin", binaries(at("/whole.zip", WHOLE)))
fetch("tar-with-binary-at-the-top", binaries(at("/flat.tar.gz", FLAT)))
fetch("zip-without-the-binary", binaries(at("/not-it.zip", NOT_IT)))
fetch("info-blank", "")
fetch("info-no-json", "hello world")
fetch("info-no-binaries", "{}")
fetch("info-many-keys", json.dumps({"binaries": {"any": at("/raw")}, "notes": [1]}))
fetch("checksum-required", binaries(at("/raw")), env=STRICT)
fetch("checksum-given", binaries(at("/raw", CHAIN2)), env=STRICT)
fetch("directory-exists", binaries(at("/raw")), home=[directory("cosmovisor/upgrades/chain2")])
fetch("binary-exists", binaries(at("/nope")), home=[release("chain2")])
fetch("info-is-address", at("/info.json"))
fetch("info-is-address-of-nothing", at("/nope"))
fetch("info-is-address-of-blank", at("/blank"))
fetch("info-is-address-without-checksum", at("/blank"), env=STRICT)

# --- run: batches -------------------------------------------------------------------------------

CHAIN = {**SKIP, "DAEMON_GRPC_ADDRESS": "{grpc}"}
LISTED = '[\n  {"name": "chain2", "time": "0001-01-01T00:00:00Z", "height": 60}\n]'
LOW = file("height", "10")
case("batch-run/refused", RUN, home=(*node("dying"), LOW, file(INFO_FILE + ".batch", LISTED, 0o600)), env={"DIE_AFTER": "2.5", **SKIP})
case("batch-run/not-json", RUN, home=(*node("dying"), file(INFO_FILE + ".batch", "[{", 0o600)), env={"DIE_AFTER": "2.5", **SKIP})
# the chain reaches the height some seconds after the plan can be put in place
case("batch-run/reached", RUN, home=(*TWO, file("height", "60"), file(INFO_FILE + ".batch", LISTED, 0o600)), env=CHAIN,
     grpc=lambda _: {"message": lambda seconds: servers.latest_block(59 if seconds < 4 else 60)})
