// What to do about an error of the node. Texts come first: many errors share the code BTM000.

const BY_TEXT = [
  [
    /wallet not found|wallet is disabled|wallet is not open/i,
    "This node runs without a wallet (--wallet.disable). Start it with the wallet to use this page.",
  ],
  [
    /only local can/i,
    "The node answers this only to its own machine. Open the dashboard there, or through an SSH tunnel: ssh -L 9888:127.0.0.1:9888 HOST.",
  ],
  [/no token/i, "Sign in with an access token. One is made on the node's machine: batoncli create-access-token NAME."],
  [/invalid token/i, "The token is unknown or was deleted. Check that it was pasted whole, as id:secret."],
  [/mining address does not exist/i, "Create an account first; the node then has an address that rewards can go to."],
  [/duplicate account alias/i, "An account has this alias already. Choose another."],
  [/duplicate asset alias/i, "An asset has this alias already. Choose another."],
  [/access token id|already in use/i, "A token has this name already. Choose another."],
  [
    /menomic|mnemonic length/i,
    "Twelve words of one language, in order, separated by single spaces. Check the spelling of each.",
  ],
  [/language type/i, "Choose the language in which the words were written down."],
  [
    /no transaction\(tx_id/i,
    "The node knows its wallet's transactions, and those of the whole chain only with --wallet.txindex. Look into its block instead.",
  ],
  [
    /can't find block|no blockhash|block.*not found/i,
    "The chain has no such block (yet). Compare with the height at the top.",
  ],
  [/connect self/i, "That is this node's own address."],
  [
    /can not connect to the address|dial/i,
    "Check host, port and firewall, and that the peer belongs to the same network.",
  ],
  [/vault mode/i, "The node runs offline (--vault_mode). Restart it without to have peers."],
  [/peerid not exist/i, "The peer has left in the meantime."],
  [/orphan/i, "It spends an output that the node does not know yet. Submit the transaction it depends on first."],
];

const BY_CODE = {
  BTM001: "The node was too slow. See its load and log, then try again.",
  BTM002: "The node could not read the request. Correct the field that the detail names.",
  BTM103: "This belongs to another network than the node's.",
  BTM200: "The number of signatures must be at least 1 and at most the number of keys.",
  BTM201: "An extended public key is 128 hexadecimal characters.",
  BTM202: "Choose at least one key.",
  BTM203: "Each key counts once. Remove the repeated one.",
  BTM302: "This contract is stored already.",
  BTM303: "Check the contract's id.",
  BTM700: "The account does not hold that much. Lower the amount, or wait for what is on its way.",
  BTM701: "Rewards of blocks can be spent ten blocks later. Wait, or lower the amount.",
  BTM702:
    "Another transaction that was built but not sent holds these outputs for up to 30 minutes. Send that one, wait, or lower the amount.",
  BTM703: "The output is spent, or it is not this wallet's. Look at Unspent outputs.",
  BTM704: "The node does not know this kind of action.",
  BTM705: "One action is not an object. Correct the request.",
  BTM706: "A transaction needs something that it spends and something that it pays to.",
  BTM707: "Fill in the fields that the detail names.",
  BTM708: "An amount is above zero and below 2^63 units, in whole units of the asset.",
  BTM709: "Check the account: it may have been renamed or deleted.",
  BTM710: "Check the asset's id or alias.",
  BTM711: "Correct the type of the contract's argument.",
  BTM712: "It spends an output that the node does not know yet. Submit the transaction it depends on first.",
  BTM713: "The fee is above the node's limit (wallet.max_tx_fee). Build again with a lower fee.",
  BTM714: "A transaction must spend BTM to pay its fee. Add a spending of BTM.",
  BTM732: "The height until which it was valid has passed. Build it again.",
  BTM746: "What it spends and what it pays must be equal for each asset, except for the fee in BTM.",
  BTM747: "The fee is too low. Build it again with a higher one.",
  BTM770: "The fee is too low for what it does. Build it again with a higher one.",
  BTM766: "A signature is missing or wrong. Sign with all the keys it needs.",
  BTM774: "This node does not run programs of that version.",
  BTM775: "A signature or a condition of a program did not hold. Sign again, then submit.",
  BTM800: "A key has this alias already. Choose another.",
  BTM801: "Check the password. It is the key's own, not the access token.",
  BTM802: "Check the password. It is the key's own, not the access token.",
  BTM860: "Sign in with an access token.",
};

const BY_KIND = {
  unreachable:
    "Check that the node runs (systemctl status batond) and that this machine reaches it. This page goes on by itself once it answers.",
  late: "The node is alive but busy, or something between holds the answer. Look at its log; try again.",
  garbled: "Something other than the node answers here. Check the address and the proxy in front of it.",
};

export function adviceFor({ kind, code, msg, detail }) {
  const told = `${detail ?? ""} ${msg ?? ""}`;
  return BY_TEXT.find(([pattern]) => pattern.test(told))?.[1] ?? BY_CODE[code] ?? BY_KIND[kind] ?? null;
}
