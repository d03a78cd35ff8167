// Quantities in the operator's words, as `baton status` has them. Pure.

/** A span of milliseconds in two units at most: 450 ms, 12.3 s, 4 min 5 s, 3 d 4 h. */
export function span(ms) {
  if (!Number.isFinite(ms) || ms < 0) ms = 0;
  const s = Math.floor(ms / 1000);
  if (s < 1) return `${Math.floor(ms)} ms`;
  if (s < 60) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** Microseconds, which may be few: 0.4 ms. */
export const short = (us) => (us < 1_000_000 ? `${(Math.floor(us / 100) / 10).toFixed(1)} ms` : span(us / 1000));

/** A size in binary units, rounded down: 512 B, 10.0 GiB. */
export function bytes(size) {
  if (size < 1024) return `${size} B`;
  const units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let power = 0;
  while (power + 1 < units.length && size >= 1024 ** (power + 2)) power += 1;
  return `${(Math.floor((size * 10) / 1024 ** (power + 1)) / 10).toFixed(1)} ${units[power]}`;
}

export const ago = (at, now) => `${span(now - Date.parse(at))} ago`;

/** 2026-11-21 03:24:05, in UTC as everywhere in Baton. */
export const instant = (at) => new Date(at).toISOString().slice(0, 19).replace("T", " ");

const SIGNALS = {
  1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 10: "SIGUSR1",
  11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 15: "SIGTERM", 17: "SIGCHLD", 28: "SIGWINCH", 31: "SIGSYS",
};
export const signal = (number) => SIGNALS[number] ?? `signal ${number}`;

/** How a process ended. */
export function ending({ code = null, signal: by = null }) {
  if (code !== null) return `exited with code ${code}`;
  if (by !== null) return `was ended by ${signal(by)}`;
  return "ended in a way that is not known";
}

/** How far a backup or a download is. */
export function howFar({ what, bytes_done: done, bytes_total: total, files_done: files, files_total: of }) {
  let text = `${what}: ${bytes(done)}`;
  if (total) text += ` of ${bytes(total)} (${Math.floor((done * 100) / total)} %)`;
  if (files !== null && of !== null && of !== undefined) text += `, ${files} of ${of} files`;
  return text;
}
