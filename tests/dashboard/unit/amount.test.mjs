import assert from "node:assert/strict";
import test from "node:test";
import {
  amountFrom,
  BTM,
  decimal,
  decimalsOf,
  MAX_AMOUNT,
  split,
} from "../../../crates/api/dashboard/js/base/amount.js";

test("amounts become decimals exactly", () => {
  assert.equal(decimal(28538812700n), "285.38812700");
  assert.equal(decimal(1), "0.00000001");
  assert.equal(decimal(0), "0.00000000");
  assert.equal(decimal(MAX_AMOUNT), "92233720368.54775807");
  assert.equal(decimal(-5n), "−0.00000005");
  assert.equal(decimal(5000, 0), "5000");
  assert.deepEqual(split(5000, 2), { sign: "", whole: "50", part: "00" });
});

test("decimals become amounts exactly", () => {
  assert.equal(amountFrom("285.388127"), 28538812700n);
  assert.equal(amountFrom(" .00000001 "), 1n);
  assert.equal(amountFrom("7."), 700000000n);
  assert.equal(amountFrom("92233720368.54775807"), MAX_AMOUNT);
  assert.equal(amountFrom("1.500000000000", 2), 150n);
  assert.equal(amountFrom("12", 0), 12n);
});

test("what is no amount is refused with a reason", () => {
  for (const [source, decimals, reason] of [
    ["", 8, /Not an amount/],
    [".", 8, /Not an amount/],
    ["1,5", 8, /Not an amount/],
    ["-1", 8, /Not an amount/],
    ["1e3", 8, /Not an amount/],
    ["0.000000001", 8, /8 decimals/],
    ["1.5", 0, /no decimals/],
    ["92233720368.54775808", 8, /Too much/],
  ]) {
    assert.throws(() => amountFrom(source, decimals), reason, source);
  }
});

test("decimals come from the definition only where it makes sense", () => {
  assert.equal(decimalsOf({ id: BTM }), 8);
  assert.equal(decimalsOf({ id: "07", definition: { decimals: 2 } }), 2);
  for (const decimals of [undefined, -1, 19, 1.5, "x"])
    assert.equal(decimalsOf({ id: "07", definition: { decimals } }), 0);
  assert.equal(decimalsOf(undefined), 0);
});
