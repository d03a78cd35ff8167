// Saves a text as a file of the operator's.

import { h } from "../base/dom.js";

export function save(text, name, type = "text/plain") {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = h("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  // the browser has taken the blob once the click is over
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
