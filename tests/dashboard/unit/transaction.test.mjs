import assert from "node:assert/strict";
import test from "node:test";
import {
  betterFee,
  feeJudgement,
  isSigned,
  settlement,
  signaturesIn,
  signingProgress,
  templateFrom,
} from "../../../crates/api/dashboard/js/node/template.js";
import { adviceFor } from "../../../crates/api/dashboard/js/node/advice.js";
import { BTM } from "../../../crates/api/dashboard/js/base/amount.js";

const keys = (count) => Array.from({ length: count }, (_, index) => ({ xpub: `k${index}`, derivation_path: [] }));
const signature = (quorum, count, signatures) => ({ type: "raw_tx_signature", quorum, keys: keys(count), signatures });

test("what a template still needs", () => {
  const template = {
    raw_transaction: "07",
    signing_instructions: [
      { position: 0, witness_components: [signature(2, 3, ["aa", "", null]), { type: "data", value: "51" }] },
      { position: 1, witness_components: [signature(1, 1, null)] },
      { position: 2, witness_components: null },
    ],
  };
  assert.deepEqual(
    signingProgress(template).map(({ position, needed, got, missing }) => [position, needed, got, missing]),
    [
      [0, 2, 1, 1],
      [1, 1, 0, 1],
    ],
  );
  assert.equal(signaturesIn(template), 1);
  assert.equal(isSigned(template), false);
  template.signing_instructions[0].witness_components[0].signatures[2] = "bb";
  template.signing_instructions[1].witness_components[0].signatures = ["cc"];
  assert.equal(isSigned(template), true);
});

test("a template is found in whatever was pasted", () => {
  const template = { raw_transaction: "07ab", signing_instructions: [] };
  for (const pasted of [
    template,
    { status: "success", data: template },
    { transaction: template, sign_complete: true },
    { data: { transaction: template } },
  ]) {
    assert.deepEqual(templateFrom(pasted), template);
  }
  assert.deepEqual(templateFrom("07ab"), { raw_transaction: "07ab", signing_instructions: null });
  for (const pasted of ["07a", null, 5, {}, { data: [] }, "nope"]) assert.equal(templateFrom(pasted), null);
});

test("what is paid is told apart from what comes back", () => {
  const decoded = {
    inputs: [
      { type: "spend", asset_id: BTM, amount: 900n, address: "mine" },
      { type: "spend", asset_id: BTM, amount: 9007199254740993n, address: "mine" },
    ],
    outputs: [
      { type: "control", asset_id: BTM, amount: 5, address: "theirs" },
      { type: "control", asset_id: BTM, amount: 6, address: "mine" },
      { type: "control", asset_id: BTM, amount: 7, address: "other of mine" },
      { type: "vote", asset_id: BTM, amount: 8, address: "mine" },
      { type: "retire", asset_id: BTM, amount: 9 },
    ],
  };
  const { pays, change, spent } = settlement(decoded, new Set(["mine", "other of mine"]), new Set(["other of mine"]));
  assert.deepEqual(
    pays.map(({ amount }) => amount),
    [5, 7, 8, 9],
  );
  assert.deepEqual(
    change.map(({ amount }) => amount),
    [6],
  );
  assert.equal(spent.get(BTM), 9007199254741893n);
});

test("fees are judged by what is needed", () => {
  assert.equal(feeJudgement(99n, 100n), "low");
  assert.equal(feeJudgement(100n, 100n), "fair");
  assert.equal(feeJudgement(5001n, 100n), "high");
  assert.equal(feeJudgement(null, 100n), null);
  assert.equal(feeJudgement(1n, null), null);
  assert.equal(betterFee(685_600n), 1_000_000n);
  assert.equal(betterFee(1_000_000n), 2_000_000n);
});

test("advice follows the text before the code", () => {
  assert.match(adviceFor({ code: "BTM000", detail: "duplicate account alias" }), /Choose another/);
  assert.match(adviceFor({ code: "BTM860", detail: "only local can get access token list" }), /SSH tunnel/);
  assert.match(adviceFor({ code: "BTM702", detail: null }), /built but not sent/);
  assert.match(adviceFor({ kind: "unreachable" }), /Check that the node runs/);
  assert.equal(adviceFor({ code: "BTM999", detail: "something new", msg: "x" }), null);
});
