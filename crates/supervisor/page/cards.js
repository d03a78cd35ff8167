// What of a status goes on which card. Pure: the status in, plain data out.
// A row is [key, value, tone]; a value is a text, or { steps }, { meter }, { pace } for what is drawn.

import { ago, bytes, ending, howFar, instant, short, span } from "./words.js";

/** For how long an error is news. */
const FRESH = 15 * 60_000;
/** A height that was read longer ago is worth a look. */
const STALE = 60_000;

const WAYS = { "handed-over": "handed over", "stopped-and-started": "stopped and started" };

/** All cards for the instant `now`, in the supervisor's time. */
export function cards(status, pace, now) {
  return [
    status.standing && stands(status.standing, now),
    error(status, now),
    node(status.node, pace, now),
    status.upgrade && underWay(status.upgrade, now),
    plan(status, now),
    status.last_upgrade && ended(status.last_upgrade, now),
    status.last_change && change(status.last_change, now),
    backups(status.backups, now),
    supervisor(status.supervisor, now),
  ].filter(Boolean);
}

/** What the first line is to be taken for. */
export function verdict({ node, upgrade, standing }) {
  if (standing) return "bad";
  if (upgrade) return "busy";
  return { running: "good", down: "bad" }[node.state] ?? "warn";
}

function node(node, pace, now) {
  const since = node.since ? span(now - Date.parse(node.since)) : "?";
  const states = {
    "not-started": ["not started yet", "warn"],
    running: [`running for ${since}, pid ${node.pid ?? "?"}`, "good"],
    stopping: [`asked to stop ${since} ago, pid ${node.pid ?? "?"}`, "warn"],
    restarting: [`ended ${since} ago, to be started again`, "warn"],
    down: [`down for ${since}`, "bad"],
  };
  const rows = [["State", ...(states[node.state] ?? [node.state])]];
  if (node.last_exit && node.pid === null) {
    const { ran_for_ms: ran, asked } = node.last_exit;
    rows.push(["", `${ending(node.last_exit)} after ${span(ran)}${asked ? ", as asked" : ""}`, "warn"]);
  }
  rows.push(["Release", `${node.release ?? "?"}, generation ${node.generation}`]);
  if (node.binary) rows.push(["Binary", node.binary, "mono quiet"]);
  if (node.leaving?.length) rows.push(["Leaving", `pid ${node.leaving.join(", ")}: has handed over and finishes`, "busy"]);
  if (node.height === null || !node.height_at) rows.push(["Height", "not known yet", "quiet"]);
  else {
    const stale = node.state === "running" && now - Date.parse(node.height_at) > STALE;
    rows.push(["Height", `${node.height} from ${node.height_source}, ${ago(node.height_at, now)}`, stale ? "warn" : ""]);
  }
  if (node.block_time_ms !== null) rows.push(["Blocks", `every ${span(node.block_time_ms)}`]);
  if (pace.times.length > 1) rows.push(["", { pace: pace.times }]);
  rows.push([
    "Change",
    node.hands_over ? "hands over: clients notice nothing of the next upgrade" : "is stopped and started for the next upgrade",
    "quiet",
  ]);
  if (node.restarts > 0) rows.push(["Restarts", String(node.restarts), "warn"]);
  return { title: "Node", rows };
}

function plan({ plan, node }, now) {
  if (!plan) return { title: "Plan", rows: [["Upgrade", "none planned", "quiet"]] };
  const rows = [["Upgrade", `${plan.name} at height ${plan.height}`]];
  if (plan.blocks_to_go === 0) rows.push(["To go", "reached", "busy"]);
  else if (plan.blocks_to_go !== null) {
    let text = `${plan.blocks_to_go} blocks`;
    if (plan.estimated_seconds !== null) {
      // Reckoned when the height was read, which may be a while ago.
      const due = Date.parse(node.height_at ?? new Date(now).toISOString()) + plan.estimated_seconds * 1000;
      text += `, about ${span(due - now)} (${instant(due).slice(0, 16)} UTC)`;
    }
    rows.push(["To go", text]);
  }
  if (plan.fetched) rows.push(["Binary", plan.verified ? "in place, checksum right" : "in place, no checksum was given", plan.verified ? "good" : ""]);
  else rows.push(["Binary", plan.progress ? "is being fetched" : "not fetched", plan.progress ? "busy" : "warn"]);
  if (plan.progress) rows.push(...progress(plan.progress));
  if (plan.disk) {
    const { needed, free } = plan.disk;
    const short = needed > free;
    rows.push(["Disk", `${short ? "NOT ENOUGH: " : ""}${bytes(needed)} needed, ${bytes(free)} free`, short ? "bad" : ""]);
  }
  if (plan.waiting_for) rows.push(["Waiting", plan.waiting_for, "quiet"]);
  return { title: "Plan", rows };
}

function progress(progress) {
  const rows = [["", howFar(progress), "busy"]];
  if (progress.bytes_total) rows.push(["", { meter: progress.bytes_done / progress.bytes_total, label: progress.what }]);
  return rows;
}

function underWay(upgrade, now) {
  const rows = [["Upgrade", `${upgrade.name} at height ${upgrade.height}`], ...steps(upgrade.steps)];
  rows.push(["Now", `${upgrade.step} since ${span(now - Date.parse(upgrade.since))}`, "busy"]);
  if (upgrade.progress) rows.push(...progress(upgrade.progress));
  return { title: "Upgrade under way", tone: "busy", rows };
}

function stands(standing, now) {
  return {
    title: "Upgrade failed, the old node answers on",
    tone: "bad",
    rows: [
      ["Upgrade", `${standing.name} at height ${standing.height}`],
      ["Failed", `at ${standing.step}, ${ago(standing.since, now)}`, "bad"],
      ["", standing.error, "bad"],
      ["To do", standing.what_to_do, "warn"],
    ],
  };
}

function ended(last, now) {
  const results = { confirmed: ["confirmed", "good"], failed: ["FAILED", "bad"], "rolled-back": ["ROLLED BACK", "warn"] };
  const [result, tone] = results[last.result] ?? [last.result, ""];
  const at = last.height === null ? "" : ` at height ${last.height}`;
  const rows = [["Upgrade", `${last.name}${at}, ${result} ${ago(last.at, now)}`, tone]];
  if (last.how) rows.push(["Way", WAYS[last.how] ?? last.how]);
  rows.push(...steps(last.steps));
  if (last.pause_ms !== null) rows.push(["Pause", `${span(last.pause_ms)}, in all ${span(last.total_ms)}`]);
  return { title: "Last upgrade", rows };
}

/** A bar beside each step tells at a glance where the time went. */
function steps(steps) {
  const longest = Math.max(1, ...steps.map((step) => step.took_ms));
  return steps.map((step) => [step.step, { step: step.took_ms / longest, text: span(step.took_ms) }]);
}

function change(last, now) {
  const moved = Object.values(last.moved ?? {}).reduce((sum, count) => sum + count, 0);
  const rows = [
    ["Why", `${last.why}, ${ago(last.at, now)}`],
    ["Way", `${WAYS[last.how] ?? last.how}, pid ${last.from} to pid ${last.to}`],
    ["Pause", `${short(last.pause_us)}, ${moved} connections moved`],
  ];
  if (last.longest_freeze_us) rows.push(["Freeze", `${short(last.longest_freeze_us)} at the longest`]);
  const longest = Math.max(1, ...(last.phases ?? []).map((phase) => phase.took_us));
  for (const { phase, took_us: took } of last.phases ?? []) rows.push([phase, { step: took / longest, text: short(took) }]);
  return { title: "Last change of the process", rows };
}

function backups(backups, now) {
  const newest = backups.at(-1);
  if (!newest) return { title: "Backups", rows: [["Known", "none", "quiet"]] };
  return {
    title: "Backups",
    rows: [
      ["Known", String(backups.length)],
      ["Newest", `${bytes(newest.bytes)} in ${newest.files} files by ${newest.mode}, ${ago(newest.at, now)}`],
      ["", newest.path, "mono quiet"],
    ],
  };
}

function error({ last_error: error, standing }, now) {
  // What stands has a card of its own.
  if (!error || error.at === standing?.since) return null;
  const fresh = now - Date.parse(error.at) < FRESH;
  const rows = [[ago(error.at, now), error.text, fresh ? "bad" : "quiet"]];
  if (error.what_to_do) rows.push(["To do", error.what_to_do, fresh ? "warn" : "quiet"]);
  return { title: "Last error", tone: fresh ? "bad" : "", rows };
}

function supervisor(supervisor, now) {
  return {
    title: "Supervisor",
    rows: [
      ["Baton", `${supervisor.version}, pid ${supervisor.pid}, up ${span(now - Date.parse(supervisor.since))}`],
      ...Object.entries(supervisor.config).map(([key, value], index) => [index ? "" : "Settings", `${key}=${value}`, "mono"]),
    ],
  };
}
