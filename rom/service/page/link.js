// The point that is shown, in the address: a link leads back to it.

/** Read { model, version, field, k, mu } from the address. */
export function readLink() {
  const entries = new URLSearchParams(location.hash.slice(1));
  const mu = {};
  for (const [name, text] of entries) {
    if (name.startsWith("mu.") && Number.isFinite(Number(text))) mu[name.slice(3)] = Number(text);
  }
  const whole = (name) => (/^\d+$/.test(entries.get(name) ?? "") ? Number(entries.get(name)) : null);
  return { model: entries.get("model"), version: whole("version"), field: entries.get("field"), k: whole("k"), mu };
}

/** Write it, without a new entry in the browser's history. */
export function writeLink({ model, version, field, k, mu }) {
  const entries = new URLSearchParams({ model, version, ...(field && { field }), k });
  for (const [name, value] of Object.entries(mu)) entries.set(`mu.${name}`, value);
  history.replaceState(null, "", `#${entries}`);
}
