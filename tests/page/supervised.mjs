// A supervisor of the test's own with the practice node, which upgrades at a height; both from the one executable.

import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { until } from "../dashboard/until.mjs";

/** What the chain's plan says: markup that must stay a text. */
export const INFO = '<img src=x onerror="document.title=1">';

export class Supervised {
  constructor(baton, home) {
    Object.assign(this, { baton, home, process: null, said: "" });
  }

  /** Makes the home: a chain of `blockTime` that upgrades to v2 at `height`. */
  init(height, blockTime) {
    const bin = (release) => {
      const directory = join(this.home, "cosmovisor", release, "bin");
      mkdirSync(directory, { recursive: true });
      return join(directory, "mocknode");
    };
    // The executable is the practice node if it is called so, and another version of it if it is stamped.
    const node = bin("genesis");
    symlinkSync(this.baton, node);
    this.#run(node, ["stamp", "v2", bin("upgrades/v2")]);
    const args = ["init", "--home", this.home, "--block-time", blockTime, "--plan", `v2:${height}:${INFO}`];
    this.#run(node, args);
  }

  #run(executable, args) {
    const { status, stdout, stderr } = spawnSync(executable, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`mocknode ${args[0]} ended with ${status}: ${stdout}${stderr}`);
  }

  /** Starts the supervisor; the admin address stays the same over restarts. */
  async start() {
    const process_ = spawn(this.baton, ["run", "start", "--home", this.home], {
      env: {
        PATH: process.env.PATH,
        HOME: this.home,
        DAEMON_HOME: this.home,
        DAEMON_NAME: "mocknode",
        BATON_ADMIN_ADDRESS: this.address ?? "127.0.0.1:0",
        COSMOVISOR_COLOR_LOGS: "false",
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.process = process_;
    const keep = (chunk) => (this.said = (this.said + chunk).slice(-20_000));
    process_.stdout.on("data", keep);
    process_.stderr.on("data", keep);
    this.address = await until("the admin address", () => {
      if (process_.exitCode !== null) throw new Error(`baton ended with ${process_.exitCode}:\n${this.said}`);
      const { stdout } = spawnSync(this.baton, ["status", "--json", "--home", this.home, "--name", "mocknode"], { encoding: "utf8" });
      return JSON.parse(stdout || "null")?.supervisor?.admin_address;
    });
    this.url = `http://${this.address}/`;
  }

  status() {
    return fetch(`${this.url}status`).then((answer) => answer.json());
  }

  events() {
    const lines = readFileSync(join(this.home, "cosmovisor/.baton/events.jsonl"), "utf8").trim().split("\n");
    return lines.map((line) => JSON.parse(line));
  }

  async stop() {
    const gone = this.process;
    this.process = null;
    if (!gone || gone.exitCode !== null) return;
    const ended = new Promise((resolve) => gone.once("exit", resolve));
    gone.kill("SIGTERM");
    const late = setTimeout(() => gone.kill("SIGKILL"), 30_000);
    await ended;
    clearTimeout(late);
  }
}
