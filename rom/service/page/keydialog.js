// Asks for the key of the service.

import { byId } from "./dom.js";

/** Ask, and return the key, or null if the person gives none. `why` says what the service wants. */
export function askForKey(why) {
  const dialog = byId("key-dialog");
  byId("key-why").textContent = why;
  byId("key").value = "";
  return new Promise((done) => {
    const ended = new AbortController();
    const end = (key) => {
      ended.abort();
      if (dialog.open) dialog.close();
      done(key);
    };
    const on = (target, kind, act) => target.addEventListener(kind, act, { signal: ended.signal });
    on(byId("key-form"), "submit", (event) => {
      event.preventDefault();
      const key = byId("key").value.trim();
      if (key) end(key);
    });
    on(byId("key-forget"), "click", () => end(""));
    on(byId("key-close"), "click", () => end(null));
    on(dialog, "close", () => end(null));
    if (!dialog.open) dialog.showModal();
  });
}
