// The engineers' page: choose a model, and open it.

import { Api } from "./api.js";
import { byId, fillSelect, showProblem } from "./dom.js";
import { askForKey } from "./keydialog.js";
import { readLink } from "./link.js";
import { Study, guard } from "./study.js";

const api = new Api(askForKey);
const study = new Study(api);
let models = [];

async function listModels(link) {
  models = (await api.models()).models;
  const pairs = models.map((m) => [m.name, m.error ? `${m.name} (damaged)` : m.name]);
  fillSelect(byId("model"), pairs);
  if (!models.length) {
    showProblem("This service has no models yet. Build one, then load this page again.");
    return;
  }
  if (models.some((m) => m.name === link.model)) byId("model").value = link.model;
  else byId("model").value = (models.find((m) => !m.error) ?? models[0]).name;
  await openModel(link);
}

async function openModel(link = { k: null }) {
  const entry = models.find((m) => m.name === byId("model").value);
  const newestFirst = [...entry.versions].reverse();
  const version = newestFirst.includes(link.version) ? link.version : newestFirst[0];
  fillSelect(byId("version"), newestFirst.map((v) => [v, v === entry.version ? `${v} (newest)` : v]), version);
  await openVersion(link);
}

async function openVersion(link = { k: null }) {
  byId("sheet").hidden = true;
  showProblem("");
  const model = await api.model(byId("model").value, byId("version").value);
  document.title = `${model.name}: romflow`;
  await study.open(model, link);
}

byId("model").addEventListener("change", () => guard(() => openModel()));
byId("version").addEventListener("change", () => guard(() => openVersion()));
byId("key-button").addEventListener("click", async () => {
  const why = api.key ? "A key is in use." : "No key is in use; the service asks for one if it wants it.";
  const key = await askForKey(why);
  if (key === null) return;
  api.setKey(key);
  guard(() => listModels(readLink()));
});

guard(() => listModels(readLink()));
