// What the service is asked. Every reply that is no success becomes an `ApiError`.

import { readNpy } from "./npy.js";

const NPY = "application/x-npy";
const PLACE = "romflow-key";

export class ApiError extends Error {
  constructor(status, type, message) {
    super(message);
    this.status = status;
    this.type = type;
  }
}

export class Api {
  /** @param {(why: string) => Promise<string|null>} askForKey gives a key, or null if there is none */
  constructor(askForKey) {
    this.askForKey = askForKey;
    this.key = sessionStorage.getItem(PLACE) ?? "";
    this.asking = null;
  }

  setKey(key) {
    this.key = key;
    if (key) sessionStorage.setItem(PLACE, key);
    else sessionStorage.removeItem(PLACE);
  }

  models = () => this.json("/api/models");
  model = (name, version) => this.json(`${path(name)}?version=${version}`);
  compare = (name, version, mu) => this.json(`${path(name)}/compare`, { body: { mu, version } });
  job = (id) => this.json(`/api/jobs/${encodeURIComponent(id)}`);
  cancel = (id) => this.json(`/api/jobs/${encodeURIComponent(id)}`, { method: "DELETE" });

  query(name, body, signal) {
    return this.json(`${path(name)}/query`, { body, signal });
  }

  async queryArray(name, body, signal) {
    const full = { ...body, precision: "float32" };
    const reply = await this.ask(`${path(name)}/query`, { body: full, signal, accept: NPY });
    return readNpy(await reply.arrayBuffer());
  }

  async mesh(name, version, location, part) {
    const place = `${path(name)}/mesh/${encodeURIComponent(location)}/${part}?version=${version}`;
    return readNpy(await (await this.ask(place, { accept: NPY })).arrayBuffer());
  }

  async jobArray(id, array) {
    const place = `/api/jobs/${encodeURIComponent(id)}/arrays/${encodeURIComponent(array)}?precision=float32`;
    return readNpy(await (await this.ask(place, { accept: NPY })).arrayBuffer());
  }

  async download(name, entries) {
    const reply = await this.ask(`${path(name)}/download?${new URLSearchParams(entries)}`, { accept: "*/*" });
    const found = /filename="([^"]+)"/.exec(reply.headers.get("Content-Disposition") ?? "");
    return { blob: await reply.blob(), name: found?.[1] ?? `${name}.bin` };
  }

  async json(place, options = {}) {
    return (await this.ask(place, options)).json();
  }

  async ask(place, { body, signal, accept = "application/json", method } = {}) {
    for (;;) {
      const used = this.key;
      const headers = { Accept: accept };
      if (used) headers.Authorization = `Bearer ${used}`;
      if (body) headers["Content-Type"] = "application/json";
      const how = method ?? (body ? "POST" : "GET");
      // Addresses are taken relative to the page: the service may stand behind a prefix.
      const address = new URL(`..${place}`, document.baseURI);
      const reply = await sent(address, { method: how, headers, signal, body: body && JSON.stringify(body) });
      if (reply.ok) return reply;
      const error = await problemOf(reply);
      if (error.status !== 401 || !(await this.newKey(used, error.message))) throw error;
    }
  }

  /** Ask for a key once, however many requests want one. */
  async newKey(used, why) {
    if (this.key !== used) return true;
    this.asking ??= this.askForKey(why).finally(() => (this.asking = null));
    const key = await this.asking;
    if (key === null) return false;
    this.setKey(key);
    return true;
  }
}

const path = (name) => `/api/models/${encodeURIComponent(name)}`;

async function sent(address, options) {
  try {
    return await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "The service does not answer. Is it running, and the network up?");
  }
}

async function problemOf(reply) {
  try {
    const { error } = await reply.json();
    return new ApiError(reply.status, error.type, error.message);
  } catch {
    return new ApiError(reply.status, "unknown", `The service answered with the status ${reply.status}.`);
  }
}
