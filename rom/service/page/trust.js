// The trust light: shape, colour and words say the same.

import { byId } from "./dom.js";
import { number, percent } from "./words.js";

const STATES = {
  fine: { sign: "✓", word: "Trusted" },
  care: { sign: "!", word: "With care" },
  stop: { sign: "×", word: "Not trusted" },
};

/** fine, care or stop for the first query of an answer. */
export function stateOf(trust) {
  if (trust.trusted[0]) return "fine";
  return trust.in_range[0] ? "care" : "stop";
}

/** One line: the word and the indicator. */
export function trustText(trust) {
  return `${STATES[stateOf(trust)].word}, indicator ${percent(trust.indicator[0])}`;
}

/** Show the trust in an answer; `card` is what the model says about itself, `level` what has answered. */
export function showTrust(trust, card, level) {
  const state = stateOf(trust);
  const { sign, word } = STATES[state];
  const light = byId("trust-light");
  light.dataset.state = byId("trust").dataset.state = state;
  light.textContent = sign;
  light.setAttribute("aria-label", word);
  byId("trust-word").textContent = word;
  byId("trust-reason").textContent = reason(state, trust);
  byId("trust-eta").textContent = `η = ${percent(trust.indicator[0])}`;
  const used = card.kind === "structure" ? `Level used: ${level}. ` : "";
  byId("trust-meaning").textContent = used + meaning(state, trust, card);
}

/** Say that there is no answer. */
export function showNoAnswer() {
  const light = byId("trust-light");
  light.dataset.state = byId("trust").dataset.state = "none";
  light.textContent = "–";
  light.setAttribute("aria-label", "No answer");
  byId("trust-word").textContent = "No answer";
  byId("trust-reason").textContent = "The message at the top says why. What is shown below is an older answer.";
  byId("trust-eta").textContent = byId("trust-meaning").textContent = "";
}

function meaning(state, trust, card) {
  if (state === "stop") return "The indicator was calibrated inside the trained range; out here it promises nothing.";
  if (card.kind === "structure") {
    return (
      `Part of the relative errors at single times that are below their indicator, of which this is the largest: ` +
      `${measured(card)}. ${card.trust.kind}. Calibrated on ${number(card.trust.pairs)} runs that were left out.`
    );
  }
  return (
    `With probability ${percent(trust.coverage)} the relative error of the fields (over the mesh` +
    `${card.times.count > 1 ? " and all times" : ""}) is below this. ` +
    `Calibrated on ${number(card.trust.pairs)} simulations that were left out.`
  );
}

function measured(card) {
  const held = card.lineage?.evaluation?.coverage;
  const parts = [`${percent(card.trust.measured_coverage)} (runs left out)`];
  if (typeof held === "number") parts.push(`${percent(held)} (runs held out)`);
  return `asked for ${percent(card.trust.level)}, measured ${parts.join(", ")}`;
}

function reason(state, trust) {
  const tolerance = percent(trust.tolerance);
  if (state === "fine") {
    return `Inside the trained range (${number(trust.score[0], 2)} of the allowed distance), and the indicator is within the tolerance of ${tolerance}.`;
  }
  if (state === "care") return `Inside the trained range, but the indicator is above the tolerance of ${tolerance}.`;
  return `Outside what was trained: ${trust.reasons[0]}. The answer is an extrapolation.`;
}
