// The upgrade that the chain has planned, where the node tells of one. Nodes that know of no upgrades say nothing.

/** { name (may be null), height, info, halted } or null, from the answers of net-info, chain-status and readyz. */
export function upgradeFrom(net, chain, health) {
  const told = chain?.upgrade ?? net?.upgrade ?? null;
  const haltedAt = health?.halted_at ?? null;
  if (!told?.name) return haltedAt === null ? null : { name: null, height: Number(haltedAt), info: null, halted: true };
  return { name: String(told.name), height: Number(told.height), info: told.info ? String(told.info) : null, halted: haltedAt !== null || Boolean(told.halted) };
}
