// "All accounts" or one of them, above a list of the wallet.

import { accountChoices, book } from "../node/book.js";
import { go } from "../shell/router.js";
import { choose, select } from "./form.js";

/** @param account the chosen one's id or ""; choosing another goes to the page's address with it */
export function accountFilter(scope, page, account, { all = true } = {}) {
  const control = select([], { "aria-label": "Account", class: "filter" });
  scope.on(book, () =>
    choose(control, [...(all ? [["", "All accounts"]] : []), ...accountChoices()], control.value || account),
  );
  control.addEventListener("change", () => go(page, "", { account: control.value }));
  return control;
}

/** The part of a request that narrows it to an account. */
export const only = (account) => (account ? { account_id: account } : {});
