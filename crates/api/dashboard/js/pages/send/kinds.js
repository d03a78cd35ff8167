// The kinds of action that a transaction is built from, and what each asks for.

export const KINDS = {
  spend_account: { words: "Spend from an account", brings: true, asks: ["account", "asset", "amount"] },
  spend_account_unspent_output: { words: "Spend one output", brings: true, asks: ["output"] },
  issue: { words: "Issue an asset", brings: true, asks: ["issued", "amount"] },
  veto: { words: "Take votes back", brings: true, asks: ["account", "btm", "vote"] },
  control_address: { words: "Pay to an address", brings: false, asks: ["address", "asset", "amount"] },
  control_program: { words: "Pay to a program", brings: false, asks: ["program", "asset", "amount"] },
  vote_output: { words: "Vote for a validator", brings: false, asks: ["address", "btm", "vote"] },
  retire: { words: "Retire (destroy)", brings: false, asks: ["asset", "amount", "arbitrary"] },
  register_contract: { words: "Register a contract", brings: false, asks: ["btm", "contract"] },
};

/** What the form begins with, for links from other pages. */
export const STARTS = {
  vote: ["spend_account", "vote_output"],
  veto: ["veto", "spend_account", "control_address"],
  issue: ["issue", "spend_account", "control_address"],
  "": ["spend_account", "control_address"],
};
