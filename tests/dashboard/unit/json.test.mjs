import assert from "node:assert/strict";
import test from "node:test";
import { parse, stringify } from "../../../crates/api/dashboard/js/base/json.js";

test("integers beyond 2^53 stay exact, there and back", () => {
  const source =
    '{"amount":9223372036854775807,"small":12,"minus":-9007199254740993,"list":[9007199254740991,9007199254740993]}';
  const value = parse(source);
  assert.equal(value.amount, 9223372036854775807n);
  assert.equal(value.small, 12);
  assert.deepEqual(value.list, [9007199254740991, 9007199254740993n]);
  assert.equal(stringify(value), source);
});

test("a long number at the very start is seen", () => assert.equal(parse("9007199254740993"), 9007199254740993n));

test("everything else is what JSON.parse makes of it", () => {
  const values = [
    null,
    true,
    "",
    'a"b\\',
    "\\",
    "é\u0000\n",
    0,
    -0.5,
    1e300,
    [],
    {},
    [[], [{}]],
    { a: { b: [1, "2", null, false] }, "": "x", 'q"': '\\"', long: "1234567890123456, 1234567890123456" },
  ];
  for (const value of values) {
    const source = JSON.stringify([value, "pad", 1], null, 1).replace(/1\s*\]$/, "1234567890123456]");
    assert.deepEqual(parse(source), JSON.parse(source), source);
  }
});

test("a name like __proto__ is a name", () => {
  const value = parse('{"__proto__":{"x":1},"n":12345678901234567890}');
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
  assert.equal(stringify(value), '{"__proto__":{"x":1},"n":12345678901234567890}');
});

test("what is not JSON is refused", () => {
  const long = "12345678901234567890";
  for (const source of [
    `[${long}`,
    `[${long},]`,
    `{"a":${long},}`,
    `{"a" ${long}}`,
    `[${long}] x`,
    `["a, ${long}`,
    `{a:${long}}`,
    `[${long} 1]`,
    `[ 0${long}]`,
  ]) {
    assert.throws(() => parse(source), SyntaxError, source);
  }
});

test("a string of megabytes is read", () => {
  const raw = "ab".repeat(4_000_000);
  assert.equal(parse(`{"n":12345678901234567890,"raw":"${raw}"}`).raw.length, raw.length);
});

test("indented writing reads the same", () => {
  const value = { a: [1, { b: 2n ** 60n }], c: {}, d: [], e: undefined };
  assert.deepEqual(parse(stringify(value, "  ")), { a: [1, { b: 2n ** 60n }], c: {}, d: [] });
});
