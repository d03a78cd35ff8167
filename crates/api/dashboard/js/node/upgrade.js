// The upgrade that the chain has planned, where the node tells of one. Nodes that know of no upgrades say nothing.

/**
 * { name (may be null), height, info, halted, toGo } or null, from the answers of get-upgrade-plan and readyz. The plan's
 * height is the first that needs the new program; the chain waits below it.
 */
export function upgradeFrom(told, health) {
  const haltedAt = health?.halted_at ?? null;
  const halted = haltedAt !== null || Boolean(told?.waits_for_upgrade);
  if (!told?.plan)
    return haltedAt === null ? null : { name: null, height: Number(haltedAt), info: null, halted, toGo: 0 };
  const { name, height, info } = told.plan;
  return {
    name,
    height: Number(height),
    info: info || null,
    halted,
    toGo: Math.max(0, Number(height) - 1 - Number(told.height)),
  };
}
