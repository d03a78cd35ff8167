import assert from "node:assert/strict";
import test from "node:test";
import { headerFrom } from "../../../crates/api/dashboard/js/node/header.js";

// block 1 of a solonet: flags, version 1, height 1, previous hash, time 1795226712000 as LEB128
const previous = "512e726d7b90091003f9f0a14ddc6218ce8b25b6c606faf81a552b4e6036d065";
const leb = (number) => {
  const octets = [];
  for (let rest = BigInt(number); ; rest >>= 7n) {
    octets.push(Number(rest & 127n) | (rest > 127n ? 128 : 0));
    if (rest <= 127n) return Buffer.from(octets).toString("hex");
  }
};

test("a raw block and a raw header begin alike", () => {
  for (const flags of ["01", "03"]) {
    const raw = `${flags}01${leb(300)}${previous}${leb(1795226712000)}40ab`;
    assert.deepEqual(headerFrom(raw), { height: 300, previous, time: 1795226712000 });
  }
});

test("what is no block is none, however long", () => {
  for (const raw of [
    null,
    "",
    "02",
    "0301",
    `0301${leb(3)}${previous.slice(2)}`,
    `0301${"ff".repeat(100)}`,
    "03zz",
    `0301${leb(3)}${previous}ffffff`,
  ]) {
    assert.equal(headerFrom(raw), null, raw);
  }
});
