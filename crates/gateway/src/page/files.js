// The files that were given: chosen, or dropped.

import { at, bytes, make, plural, say, state } from "./basics.js";

function add(given) {
  for (const file of given) {
    const url = file.type.startsWith("image/") ? URL.createObjectURL(file) : null;
    state.files.push({ file, url, input: "" });
  }
  const all = plural(state.files.length, "file");
  say(`${given.length === 1 ? given[0].name : plural(given.length, "file")} added; ${all} in all`, true);
  wrong("");
  list();
}

function remove(entry) {
  state.files = state.files.filter((other) => other !== entry);
  if (entry.url && state.answer === null) URL.revokeObjectURL(entry.url);
  say(`${entry.file.name} removed`, true);
  list();
  at("files").focus();
}

export function list() {
  const inputs = state.model?.inputs ?? [];
  at("given").replaceChildren(...state.files.map((entry) => line(entry, inputs)));
}

function line(entry, inputs) {
  const { file, url } = entry;
  const away = make("button", { type: "button", class: "small", "aria-label": `Remove ${file.name}` }, "Remove");
  away.addEventListener("click", () => remove(entry));
  let choice = null;
  if (inputs.length > 1) {
    choice = make("select", { "aria-label": `Input that ${file.name} is for` }, make("option", { value: "" }, "for all inputs"));
    choice.append(...inputs.map((input) => make("option", { value: input.name }, `for ${input.name}`)));
    choice.value = entry.input;
    choice.addEventListener("change", () => (entry.input = choice.value));
  }
  return make(
    "li",
    {},
    url ? make("img", { class: "thumb", src: url, alt: "" }) : null,
    make("span", { class: "name" }, file.name, make("span", { class: "size" }, bytes(file.size))),
    choice,
    away,
  );
}

at("files").addEventListener("change", () => {
  add([...at("files").files]);
  at("files").value = "";
});

for (const kind of ["dragenter", "dragover"]) {
  at("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.add("over");
  });
}
at("drop").addEventListener("dragleave", () => at("drop").classList.remove("over"));
at("drop").addEventListener("drop", (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  if (event.dataTransfer) add([...event.dataTransfer.files]);
});
// What is dropped beside the place does not take the page away.
for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());

export function wrong(text, focus) {
  at("wrong").textContent = text;
  if (text && focus) at("wrong").focus();
}
