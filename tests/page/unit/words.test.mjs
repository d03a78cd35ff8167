import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, ending, howFar, instant, short, span } from "../../../crates/supervisor/page/words.js";

test("spans have two units at most, as in Baton's own words", () => {
  for (const [ms, text] of [
    [0, "0 ms"],
    [999, "999 ms"],
    [1_000, "1.0 s"],
    [59_999, "59.9 s"],
    [60_000, "1 min 0 s"],
    [3_599_000, "59 min 59 s"],
    [3_600_000, "1 h 0 min"],
    [90_000_000, "1 d 1 h"],
    [-5, "0 ms"],
    [NaN, "0 ms"],
  ])
    assert.equal(span(ms), text);
  assert.equal(short(380), "0.3 ms");
  assert.equal(short(2_500_000), "2.5 s");
});

test("sizes are rounded down in binary units", () => {
  for (const [size, text] of [
    [0, "0 B"],
    [1_023, "1023 B"],
    [1_024, "1.0 KiB"],
    [1_048_575, "1023.9 KiB"],
    [10 * 2 ** 30, "10.0 GiB"],
  ])
    assert.equal(bytes(size), text);
});

test("ends, progress and instants are told", () => {
  assert.equal(ending({ code: 0, signal: null }), "exited with code 0");
  assert.equal(ending({ code: null, signal: 9 }), "was ended by SIGKILL");
  assert.equal(ending({ code: null, signal: 63 }), "was ended by signal 63");
  const half = { what: "backup", bytes_done: 512, bytes_total: 1024, files_done: 1, files_total: 2 };
  assert.equal(howFar(half), "backup: 512 B of 1.0 KiB (50 %), 1 of 2 files");
  const unknown = { what: "fetch", bytes_done: 512, bytes_total: null, files_done: null, files_total: null };
  assert.equal(howFar(unknown), "fetch: 512 B");
  assert.equal(instant("2026-11-21T03:24:05.123Z"), "2026-11-21 03:24:05");
});
