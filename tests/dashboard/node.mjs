// A node of the test's own: a solonet in a temporary home, on a port that the kernel picked.

import { spawn, spawnSync } from "node:child_process";
import { createServer } from "node:net";
import { until } from "./until.mjs";

export class Batond {
  constructor(executable, home) {
    Object.assign(this, { executable, home, process: null, said: "" });
  }

  init() {
    const { status, stdout, stderr } = spawnSync(
      this.executable,
      ["init", "--chain_id", "solonet", "--home", this.home],
      { encoding: "utf8" },
    );
    if (status !== 0) throw new Error(`batond init ended with ${status}: ${stdout}${stderr}`);
  }

  /** Starts it; the port stays the same over restarts, as an operator's would. */
  async start(environment = {}) {
    this.port ??= await freePort();
    this.url = `http://127.0.0.1:${this.port}/`;
    const process_ = spawn(
      this.executable,
      [
        "node",
        "--home",
        this.home,

        "--p2p.skip_upnp",
        "--p2p.lan_discoverable=false",
        "--p2p.laddr",
        "tcp://127.0.0.1:0",
      ],
      {
        env: { ...process.env, LISTEN: `127.0.0.1:${this.port}`, ...environment },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    this.process = process_;
    const keep = (chunk) => (this.said = (this.said + chunk).slice(-20_000));
    process_.stdout.on("data", keep);
    process_.stderr.on("data", keep);
    await until("batond to answer", async () => {
      if (process_.exitCode !== null) throw new Error(`batond ended with ${process_.exitCode}:\n${this.said}`);
      return fetch(this.url + "dashboard/").then(
        (answer) => answer.ok,
        () => false,
      );
    });
  }

  async stop() {
    const gone = this.process;
    this.process = null;
    if (!gone || gone.exitCode !== null) return;
    const ended = new Promise((resolve) => gone.once("exit", resolve));
    gone.kill("SIGTERM");
    await Promise.race([
      ended,
      new Promise((_, reject) =>
        setTimeout(() => (gone.kill("SIGKILL"), reject(new Error("batond did not stop within 30 s"))), 30_000).unref(),
      ),
    ]);
  }

  /** Asks the API without the browser. */
  async ask(endpoint, body = {}) {
    const answer = await fetch(this.url + endpoint, { method: "POST", body: JSON.stringify(body) }).then((reply) =>
      reply.json(),
    );
    if (answer.status !== "success") throw new Error(`${endpoint}: ${JSON.stringify(answer)}`);
    return answer.data;
  }
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
