"""What homes are made of: scripts that stand for node binaries, and functions that put things into a
home. Every node script answers `status` with its height, and `pre-upgrade` with the code in the
file `pre-upgrade-code` of its working directory, if there is one."""

import gzip
import io
import tarfile
import zipfile

COMMON = """\
#!/bin/sh
case "$1" in
status)
  [ -z "$STATUS_FAILS" ] || { echo "Error: post failed: connection refused" >&2; exit 1; }
  height=$(cat "$DAEMON_HOME/height" 2>/dev/null || echo 1000)
  [ -z "$STATUS_OLD" ] || { echo "{\\"SyncInfo\\":{\\"latest_block_height\\":\\"$height\\"}}" >&2; exit 0; }
  echo "{\\"sync_info\\":{\\"latest_block_height\\":\\"$height\\"}}"
  exit 0 ;;
pre-upgrade)
  if [ -f pre-upgrade-code ]; then
    echo "pre-upgrade $# in $(basename "$PWD")" >> pre-upgrade-calls
    exit "$(cat pre-upgrade-code)"
  fi
  exit 1 ;;
esac
"""

# asks for an upgrade: writes the plan in its 2nd argument to the file in its 3rd, if it is not there
ASKING = """\
echo "Genesis $1"
[ -z "$2" ] || [ "$(cat "$3" 2>/dev/null)" != "$2" ] || { echo "not asked again"; exit 0; }
trap 'echo asked to stop; exit 0' TERM INT
if [ -n "$2" ]; then
  echo "UPGRADE NEEDED"
  printf '%s' "$2" > "$3.tmp" && mv "$3.tmp" "$3"
fi
n=0
while [ $n -lt 200 ]; do sleep 0.1; n=$((n + 1)); done
echo 'Never should be printed!!!'
"""

# the same, and ends by itself as a node does that replays the upgrade's block
DYING = """\
echo "Genesis $1"
if [ -n "$2" ]; then
  echo "UPGRADE NEEDED"
  printf '%s' "$2" > "$3.tmp" && mv "$3.tmp" "$3"
fi
sleep "${DIE_AFTER:-1}"
exit "${DIE_WITH:-1}"
"""

# flushes before it ends, if it is let
FLUSHING = """\
echo "Genesis $1"
trap 'echo WARN Need Flush; sleep 0.5; echo Flushed; exit 0' TERM INT
printf '%s' "$2" > "$3.tmp" && mv "$3.tmp" "$3"
n=0
while [ $n -lt 200 ]; do sleep 0.1; n=$((n + 1)); done
echo 'Never should be printed!!!'
"""

LIVE = """\
echo '@ is live!'
echo "Args: $*"
sleep 0.6
echo 'Finished successfully'
"""

# tells how it was started
TELLING = """\
echo "args: $# $*"
echo "cwd: $PWD"
echo "home: $DAEMON_HOME"
echo "stdin: $(cat)"
echo "to stderr" >&2
exit "${EXIT_WITH:-0}"
"""

# waits for a signal and tells which
WAITING = """\
for s in HUP INT QUIT TERM USR1 USR2; do trap "echo got $s; exit ${EXIT_WITH:-0}" $s; done
sleep 0.5
echo ready
n=0
while [ $n -lt 200 ]; do sleep 0.1; n=$((n + 1)); done
"""

VERSION = """\
if [ "$1" = version ]; then
  case "$*" in
  *json*) echo '{"name":"dummyd","version":"1.2.3"}' ;;
  *) echo 1.2.3; echo "rest: $*" >&2 ;;
  esac
  exit "${EXIT_WITH:-0}"
fi
echo "Args: $*"
"""

PREUPGRADE = """\
#!/bin/sh
echo "preparing $1"
touch "upgrade_name_$1_height_$2"
exit "${PREUPGRADE_WITH:-0}"
"""

PLAIN = "#!/bin/sh\necho plain\n"

SCRIPTS = {
    "asking": COMMON + ASKING,
    "dying": COMMON + DYING,
    "flushing": COMMON + FLUSHING,
    "telling": COMMON + TELLING,
    "waiting": COMMON + WAITING,
    "version": COMMON + VERSION,
    "chain2": COMMON + LIVE.replace("@", "Chain 2"),
    "chain3": COMMON + LIVE.replace("@", "Chain 3"),
    "preupgrade": PREUPGRADE,
    "plain": PLAIN,
}

GENESIS = "cosmovisor/genesis/bin/dummyd"


def file(path, text, mode=0o644):
    """A file with the text, in which the case's places are filled in."""

    def build(home, fill):
        target = home / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(fill(text))
        target.chmod(mode)

    return build


def script(path, name, mode=0o755):
    """One of the scripts."""
    return file(path, SCRIPTS[name], mode)


def release(upgrade, name="chain2", binary="dummyd"):
    """An upgrade's release."""
    return script("cosmovisor/upgrades/%s/bin/%s" % (upgrade, binary), name)


def directory(path):
    return lambda home, _: (home / path).mkdir(parents=True, exist_ok=True)


def link(path, target):
    def build(home, fill):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).symlink_to(fill(target))

    return build


def node(name, *more):
    """A home with a genesis release, a data directory, and what is given."""
    return (script(GENESIS, name), directory("data"), *more)


def zipped(*members):
    """A zip archive of pairs of a path and the name of a script."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, name in members:
            info = zipfile.ZipInfo(path, (2024, 1, 1, 0, 0, 0))
            info.external_attr = 0o755 << 16
            archive.writestr(info, SCRIPTS[name])
    return out.getvalue()


def tarred(*members):
    """A compressed tar archive of pairs of a path and the name of a script."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, name in members:
            body = SCRIPTS[name].encode()
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(body), 0o755
            archive.addfile(info, io.BytesIO(body))
    return gzip.compress(out.getvalue(), mtime=0)
