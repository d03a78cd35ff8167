// The pages there are, and how they are grouped. A page is a module with page(scope, argument, query) → { title, element }.

export const ROOMS = [
  [null, [["overview", "Overview"]]],
  [
    "Chain",
    [
      ["blocks", "Blocks"],
      ["pool", "Pool"],
      ["peers", "Peers"],
      ["validators", "Validators"],
      ["upgrade", "Upgrade"],
    ],
  ],
  [
    "Wallet",
    [
      ["accounts", "Accounts"],
      ["history", "Transactions"],
      ["addresses", "Addresses"],
      ["outputs", "Unspent outputs"],
      ["votes", "Votes"],
      ["assets", "Assets"],
      ["keys", "Keys"],
    ],
  ],
  [
    "Act",
    [
      ["send", "New transaction"],
      ["tools", "Sign and verify"],
    ],
  ],
  [
    "Node",
    [
      ["mining", "Mining"],
      ["backup", "Backup and rescan"],
      ["tokens", "Access tokens"],
    ],
  ],
];

/** Loaded when first shown. */
const PAGES = {
  overview: () => import("../pages/overview.js"),
  blocks: () => import("../pages/blocks.js"),
  block: () => import("../pages/block.js"),
  tx: () => import("../pages/transaction.js"),
  pool: () => import("../pages/pool.js"),
  peers: () => import("../pages/peers.js"),
  validators: () => import("../pages/validators.js"),
  upgrade: () => import("../pages/upgrade.js"),
  accounts: () => import("../pages/accounts.js"),
  account: () => import("../pages/account.js"),
  history: () => import("../pages/history.js"),
  addresses: () => import("../pages/addresses.js"),
  outputs: () => import("../pages/outputs.js"),
  votes: () => import("../pages/votes.js"),
  assets: () => import("../pages/assets.js"),
  keys: () => import("../pages/keys.js"),
  send: () => import("../pages/send.js"),
  tools: () => import("../pages/tools.js"),
  mining: () => import("../pages/mining.js"),
  backup: () => import("../pages/backup.js"),
  tokens: () => import("../pages/tokens.js"),
  search: () => import("../pages/search.js"),
};

/** Which room a page stands in, where that is not its own name. */
export const HOME_OF = { block: "blocks", tx: "blocks", account: "accounts" };

export const loaderOf = (name) => (Object.hasOwn(PAGES, name) ? PAGES[name] : null);
