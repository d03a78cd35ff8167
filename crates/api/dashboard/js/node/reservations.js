// Outputs that are held for a transaction which was built. Nodes that cannot release them let them go in time.

import { call, isUnknown } from "./call.js";

let known = true;

/** Gives back what a template holds, if the node can. */
export async function releaseOf(template) {
  if (!known || template.reservation_id === undefined) return;
  try {
    await call("release-reservation", { id: template.reservation_id });
  } catch (failure) {
    if (failure.kind !== "refused") throw failure;
    if (isUnknown(failure)) known = false;
  }
}
