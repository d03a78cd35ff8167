// The upgrade that the chain has planned, where the node tells of one. Nodes that know of no upgrades say nothing.

/** { name, height, info, halted } or null, from the answers of net-info and chain-status. */
export function upgradeFrom(net, chain) {
  const told = chain?.upgrade ?? net?.upgrade ?? null;
  if (!told?.name) return null;
  return { name: String(told.name), height: Number(told.height), info: told.info ? String(told.info) : null, halted: Boolean(told.halted ?? told.due) };
}
