// Outputs that are held for transactions which were built and not sent. A node that cannot tell or release them lets them go
// in time.

import { optional } from "./call.js";

/** [{ id, expires_at, outputs: [{ id, account_id, asset_id, amount }] }], or null where the node does not tell. */
export const reservations = (options) => optional("list-reservations", {}, options);

/** Gives back what is held for a decoded transaction: all that one build held goes with any of its outputs. */
export async function releaseOf({ inputs }) {
  const held = inputs.map(({ spent_output_id: id }) => id).find(Boolean);
  if (held) await optional("release-reservation", { output_id: held });
}

export const release = (id) => optional("release-reservation", { id });
