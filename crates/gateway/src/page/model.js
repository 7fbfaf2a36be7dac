// The choice of a model, and what it takes.

import { at, bytes, make, plural, state } from "./basics.js";
import { list, wrong } from "./files.js";
import { ask } from "./gateway.js";

export function models() {
  const names = state.about.models;
  at("model").replaceChildren(...names.map((name) => make("option", { value: name }, name)));
  if (names.length === 0) {
    at("takes").textContent = "There is no model for you here: ask whoever runs this gateway.";
    at("run").disabled = true;
    return;
  }
  choose();
}

async function choose() {
  const name = at("model").value;
  state.model = null;
  at("takes").textContent = "Asking the parties …";
  try {
    const model = await (await ask(`/models/${encodeURIComponent(name)}`)).json();
    if (at("model").value !== name) return;
    state.model = model;
    at("takes").textContent = takes(model);
    at("kinds").textContent = kinds(model);
    wrong("");
    list();
  } catch (refused) {
    if (at("model").value !== name) return;
    at("takes").textContent = "";
    wrong(`What ${name} takes cannot be found out: ${refused.message}`, true);
  }
}

at("model").addEventListener("change", choose);

function shape(input) {
  if (input.pictures && input.shape.length === 3) {
    const [a, b, c] = input.shape;
    const [height, width, channels] = a <= 3 && c > 3 ? [b, c, a] : [a, b, c];
    return `pictures, ${height} × ${width} ${channels === 1 ? "grey" : "in colour"}`;
  }
  if (input.pictures) return "pictures";
  const n = input.shape.reduce((a, b) => a * b, 1);
  return input.shape.length <= 1 ? `rows of ${plural(n, "number")}` : `arrays of ${input.shape.join(" × ")}`;
}

function takes(model) {
  const inputs = model.inputs.map((input) => (model.inputs.length > 1 ? `${input.name}: ${shape(input)}` : shape(input)));
  const by = `${plural(model.layers.length, "layer")}, computed with the protocol ${model.protocol}.`;
  return `Takes ${inputs.join("; ")}. ${by}`;
}

function kinds(model) {
  const pictures = model.inputs.some((input) => input.pictures);
  const files = pictures ? "Pictures (PNG, JPEG), arrays (.npy, .npz), or a table (.csv)" : "A table (.csv) or arrays (.npy, .npz)";
  const many = model.inputs.length > 1 ? ", one for each input, or one .npz with an array for each" : ", as many as you like";
  return `${files}${many}; ${bytes(state.about.longest)} at most.`;
}
