// What is seen of a run: which layer the parties compute.

import { at, count, make, plural, say, sentence, show, state } from "./basics.js";
import { wrong } from "./files.js";

let clock = null;

export function begin() {
  const since = Date.now();
  wrong("");
  for (const id of ["model", "files", "run"]) at(id).disabled = true;
  show(at("again"), false);
  show(at("run"), true);
  show(at("stop"), true);
  show(at("answer"), false);
  show(at("sent"), false);
  show(at("progress"), true);
  at("bar").removeAttribute("value");
  at("steps").textContent = "";
  layers(state.model);
  doing("Sending your files to the gateway", true);
  const tick = () => (at("elapsed").textContent = `${Math.round((Date.now() - since) / 1000)} s`);
  tick();
  clock = setInterval(tick, 500);
  at("ask").setAttribute("aria-busy", "true");
}

export function end() {
  clearInterval(clock);
  state.running = null;
  at("ask").removeAttribute("aria-busy");
  for (const id of ["model", "files", "run"]) at(id).disabled = false;
  show(at("stop"), false);
  show(at("progress"), false);
  show(at("run"), true);
  show(at("again"), false);
}

function doing(text, now) {
  at("doing").textContent = text;
  say(text, now);
}

function layers(model) {
  at("layers").replaceChildren(
    ...model.layers.map((layer) =>
      make("li", {}, make("span", { class: "name" }, layer.name), make("span", { class: "kind" }, layer.operations.join(", "))),
    ),
  );
}

export function follow(event, model) {
  if (event.event === "waiting") {
    doing(`The gateway has read ${plural(event.rows, "row")}, and waits for a session with the parties`, true);
  } else if (event.event === "connecting") {
    doing("Beginning a session with the parties", true);
  } else if (event.event === "delayed") {
    doing(sentence(event.reason));
  } else if (event.event === "again") {
    at("bar").removeAttribute("value");
    doing(`Lost, and tried again: ${event.reason}`, true);
    mark(0, -1);
  } else if (event.event === "step") {
    step(event, model);
  }
}

function step({ done, of }, model) {
  const within = done % model.steps;
  let now = 0;
  while (now + 1 < model.layers.length && model.layers[now + 1].first <= within) now += 1;
  const runs = of / model.steps;
  const which = runs > 1 ? `run ${Math.floor(done / model.steps) + 1} of ${runs}, ` : "";
  at("bar").max = of;
  at("bar").value = done;
  at("steps").textContent = `Step ${count(done + 1)} of ${count(of)},`;
  doing(`The parties compute ${which}layer ${now + 1} of ${model.layers.length}: ${model.layers[now].name}`);
  mark(now, now);
}

function mark(before, now) {
  [...at("layers").children].forEach((item, index) => {
    const is = index === now ? "now" : index < before ? "done" : "";
    if (item.className === is) return;
    item.className = is;
    if (is === "now") {
      item.setAttribute("aria-current", "step");
      const box = at("layers");
      box.scrollTop = item.offsetTop - box.offsetTop - box.clientHeight / 2;
    } else {
      item.removeAttribute("aria-current");
    }
  });
}
