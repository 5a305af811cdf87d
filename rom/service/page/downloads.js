// The answer as files.

import { byId, make } from "./dom.js";

/** Hand a file to the person. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = make("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/**
 * Make the buttons work. `now()` gives { model, mu, field } (a field's entry of the card, or
 * undefined), `png()` the picture, `guard` runs a task and shows its errors.
 */
export function offerDownloads(api, now, png, guard) {
  const on = (id, act) => byId(id).addEventListener("click", () => guard(act));
  const get = async (format, names) => {
    const { model, mu } = now();
    const entries = [
      ["format", format],
      ["version", model.version],
      ...Object.entries(mu).map(([name, value]) => ["mu", `${name}=${value}`]),
      ...names.map((name) => ["names", name]),
    ];
    const { blob, name } = await api.download(model.name, entries);
    save(blob, name);
  };
  on("get-npy", () => get("npy", [now().field.name]));
  on("get-csv", () => get("csv", []));
  on("get-vtkhdf", () => {
    const { model, field } = now();
    return get("vtkhdf", model.card.fields.filter((f) => f.location === field.location).map((f) => f.name));
  });
  on("get-png", async () => save(await png(), `${now().model.name}-${now().field.name}.png`));
}
