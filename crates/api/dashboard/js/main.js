// The page begins: frame, clock, node, then whatever the address asks for.

import { refreshBook } from "./node/book.js";
import { link, start } from "./node/pulse.js";
import { buildShell } from "./shell/shell.js";
import { watchLogin } from "./shell/login.js";
import { keepTime } from "./ui/value.js";

buildShell(document.body);
watchLogin();
keepTime();
start();

// the wallet's names are asked for whenever the node comes (back)
link.subscribe(({ state }) => state === "up" && refreshBook());
