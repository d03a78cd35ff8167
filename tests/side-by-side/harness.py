"""Runs one case with one executable in a throw-away home, and gives back what it did in a form that
does not depend on the time, the place or the version."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import servers

# modes of files are part of the answers
os.umask(0o022)

MAX_TEXT_BYTES = 4096


class Case:
    """What is prepared, what is run, and under which name the answer is kept. With `opaque`, what
    matters of the output is only that it is there and names the program."""

    def __init__(self, name, *steps, home=(), env=None, http=None, grpc=None, shape_times=False, opaque=False):
        self.name, self.steps, self.home = name, steps, home
        self.env = env or {}
        self.http, self.grpc = http, grpc
        self.shape_times, self.opaque = shape_times, opaque


class Step:
    """One command. `signals` are pairs of a line of output to wait for and what to send then. What
    still runs after the limit is killed, and the answer says so."""

    def __init__(self, *args, env=None, stdin="", signals=(), limit_s=60):
        self.args, self.env, self.stdin = args, env or {}, stdin
        self.signals, self.limit_s = signals, limit_s


def run_case(case, executable, fixtures):
    """The normalised answer of one executable to one case."""
    # always the same length, because some texts are wrapped or aligned
    top = Path(tempfile.mkdtemp(prefix="side-"))
    holder, refused = servers.closed_port()
    opened = []
    places = {"{tmp}": str(top), "{home}": str(top / "home"), "{refused}": refused}
    try:
        fill = Filler(places)
        if case.http is not None:
            # asked for at each request, when the addresses are known
            files = servers.Files(lambda path: case.http.get(path, lambda _: None)(fill))
            opened.append(files)
            places["{http}"] = "http://" + files.address
        if case.grpc is not None:
            grpc = servers.Grpc(**case.grpc(fill))
            opened.append(grpc)
            places["{grpc}"] = grpc.address
        home = top / "home"
        home.mkdir()
        for build in case.home:
            build(home, fill)
        normal = Normaliser(places, case.shape_times)
        answer = {
            "case": case.name,
            "steps": [run_step(step, case, executable, top, fill, normal) for step in case.steps],
            "tree": tree(home, normal, fixtures),
        }
        return answer
    finally:
        holder.close()
        for server in opened:
            server.close()
        shutil.rmtree(top, ignore_errors=True)


class Filler:
    """Puts the case's places into texts: `{home}`, `{tmp}`, `{http}`, `{grpc}`, `{refused}`."""

    def __init__(self, places):
        self.places = places

    def __call__(self, text):
        for name, value in self.places.items():
            text = text.replace(name, value)
        return text


def run_step(step, case, executable, top, fill, normal):
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(top),
        "TZ": "UTC",
        "DAEMON_HOME": "{home}",
        "DAEMON_NAME": "dummyd",
        # heights come from the scripts, never from a node that happens to run on this machine
        "BATON_RPC_ADDRESS": "http://{refused}",
        "DAEMON_GRPC_ADDRESS": "{refused}",
        "COSMOVISOR_COLOR_LOGS": "false",
    }
    env.update(case.env)
    env.update(step.env)
    env = {name: fill(value) for name, value in env.items() if value is not None}
    args = [fill(arg) for arg in step.args]
    child = subprocess.Popen(
        [executable, *args],
        cwd=top,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    watched = Watched(child, step)
    try:
        watched.talk()
    finally:
        end_session(child)
    output = normal.output(watched.stdout, watched.stderr)
    if case.opaque and any("cosmovisor" in line for line in output["stdout"]):
        output["stdout"] = ["<text that names cosmovisor>"]
    return {"args": list(step.args), "exit": watched.exit, **output}


class Watched:
    """A running child: reads both streams to their ends and sends signals at the awaited lines."""

    def __init__(self, child, step):
        self.child, self.step = child, step
        self.stdout, self.stderr = bytearray(), bytearray()
        self.exit = None
        self.news = threading.Condition()

    def talk(self):
        deadline = time.monotonic() + self.step.limit_s
        readers = [
            threading.Thread(target=self.read, args=pair, daemon=True)
            for pair in ((self.child.stdout, self.stdout), (self.child.stderr, self.stderr))
        ]
        for reader in readers:
            reader.start()
        try:
            self.child.stdin.write(self.step.stdin.encode())
            self.child.stdin.close()
        except BrokenPipeError:
            pass
        for line, number in self.step.signals:
            if self.await_line(line.encode(), deadline):
                self.child.send_signal(number)
        try:
            code = self.child.wait(max(0.1, deadline - time.monotonic()))
            self.exit = code if code >= 0 else "signal %d" % -code
        except subprocess.TimeoutExpired:
            self.exit = "still running after %d s" % self.step.limit_s
        end_session(self.child)
        for reader in readers:
            reader.join(5)

    def read(self, stream, into):
        while chunk := stream.read1(65536):
            with self.news:
                into += chunk
                self.news.notify_all()

    def await_line(self, line, deadline):
        with self.news:
            return self.news.wait_for(
                lambda: line in self.stdout or line in self.stderr,
                max(0.1, deadline - time.monotonic()),
            )


def end_session(child):
    """Ends what a killed supervisor left behind: the processes of the session made for it."""
    for _ in range(100):
        left = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[3]) == child.pid and fields[0] != "Z":
                left.append(int(entry.name))
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.01)


LOG_LINE = re.compile(r"^(\x1b\[90m)?<time>(\x1b\[0m)? (\x1b\[\d+m)?(INF|WRN|ERR|DBG|TRC)")
KITCHEN = re.compile(r"(?<![0-9:])\d{1,2}:\d\d[AP]M(?=(\x1b\[0m)? (\x1b\[\d+m)?[A-Z]{3}\b)")


class Normaliser:
    """Replaces what changes from run to run by names in angle brackets or braces."""

    def __init__(self, places, shape_times):
        self.places = sorted(places.items(), key=lambda pair: -len(pair[1]))
        self.shape_times = shape_times

    def text(self, text):
        for name, value in self.places:
            text = text.replace(value, name)
        text = re.sub(r"(?m)^WARNING:\(ast\) sonic .*\n", "", text)
        # said when a thread gets its turn, which may be after a short-lived node has ended
        text = re.sub(r"(?m)^.* INF.*starting the batch watcher loop.*\n", "", text)
        if self.shape_times:
            text = "\n".join(shape_of_time(line) for line in text.split("\n"))
        else:
            text = KITCHEN.sub("<time>", text)
            # the zero time of a plan, year 1, stays
            text = re.sub(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>", text)
        text = re.sub(r"data-backup-\d{4}-\d{1,2}-\d{1,2}", "data-backup-<date>", text)
        text = re.sub(r"(time taken to complete backup=(?:\x1b\[0m)?)[-+.e0-9]+", r"\1<number>", text)
        text = re.sub(r"(cosmovisor version: ).*", r"\1<version>", text)
        text = re.sub(r'("cosmovisor_version":)"[^"]*"', r'\1"<version>"', text)
        text = re.sub(r"(cannot find binary for os/arch: neither )[a-z0-9/]+", r"\1<platform>", text)
        text = re.sub(r"\[/\S+\.go:\d+\]", "[<source>]", text)
        # a Go panic is told by its first line
        text = re.sub(r"(?s)(panic: [^\n]*)\n.*goroutine .*", r"\1\n", text)
        return text

    def output(self, stdout, stderr):
        stdout = self.text(stdout.decode(errors="backslashreplace"))
        stderr = self.text(stderr.decode(errors="backslashreplace"))
        # the log and the node write to the same stream, in an order that nobody promises
        log, rest = [], []
        for line in stdout.split("\n"):
            (log if LOG_LINE.match(line.replace("<nil>", "<time>")) else rest).append(line)
        return {"log": log, "stdout": lines(rest), "stderr": lines(stderr.split("\n"))}


def lines(split):
    """Without the empty piece after the last line break; what lacks the break is marked."""
    if split and split[-1] == "":
        return split[:-1]
    return split[:-1] + [split[-1] + "<no line break>"]


def shape_of_time(line):
    """Digits become 9 and names become Xxx in what stands before the level of a log line."""
    match = re.match(r"(.*?)( (?:INF|WRN|ERR) .*)", line)
    if not match:
        return line
    shape = re.sub(r"\b(Mon|Tues?|Wed(nes)?|Thu(rs)?|Fri|Sat(ur)?|Sun)(day)\b", "Xxxday", match[1])
    shape = re.sub(r"\b[A-Z][a-z]{2}\b", "Xxx", shape)
    shape = re.sub(r"[AP]M", "XM", re.sub(r" ?\d+", lambda m: " 9" if m[0][0] == " " else "9", shape))
    return "<time>" + match[2] + "   # the time as: " + re.sub(r" +", " ", shape)


def tree(home, normal, fixtures):
    """Every entry below the home, but what a supervisor keeps for itself in `.baton`."""
    known = {hashlib.sha256(body.encode()).hexdigest(): name for name, body in fixtures.items()}
    found = {}
    for path in sorted(home.rglob("*")):
        name = normal.text(str(path.relative_to(home)))
        if ".baton" in path.relative_to(home).parts:
            continue
        mode = "%04o" % (path.lstat().st_mode & 0o7777)
        if path.is_symlink():
            found[name] = "-> " + normal.text(os.readlink(path))
        elif path.is_dir():
            found[name + "/"] = mode
        elif path.is_file():
            found[name] = [mode, content(path, known, normal)]
        else:
            found[name] = [mode, "special file"]
    return found


def content(path, known, normal):
    if path.name in ("MANIFEST.baton.jsonl", ".baton-fetched.json"):
        return "a record of ours, with times"
    body = path.read_bytes()
    digest = hashlib.sha256(body).hexdigest()
    if digest in known:
        return "fixture " + known[digest]
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = None
    if text is None or len(body) > MAX_TEXT_BYTES:
        return "sha256 " + digest
    return normal.text(text).split("\n")


def dump(answer):
    answer = {**answer, "tree": dict(sorted(answer["tree"].items()))}
    return json.dumps(answer, indent=1, ensure_ascii=False) + "\n"
