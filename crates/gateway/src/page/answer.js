// The answer: labels, and numbers with bars.

import { at, count, make, number, percent, plural, say, sentence, show, state } from "./basics.js";
import { isWhole, numbersOf } from "./outputs.js";
import { proofs, sent } from "./parties.js";

// Rows that are shown at a time, and numbers of a row.
const SHOWN = 20;
const NUMBERS = 8;

export function answered(answer, model, asked) {
  state.answer = { ...answer, model, asked };
  state.shown = 0;
  const { report, rows } = answer;
  const scored = report.outputs.some(({ kind, top }) => kind === "classes" && top?.[0]?.[0]?.probability === undefined);
  at("answer-note").textContent =
    `${plural(rows.length, "row")}, by ${model.name}, in ${report.seconds.online.toFixed(2)} s.` +
    (scored ? " Numbers without % are scores: the largest decides." : "");
  at("warnings").replaceChildren(...answer.warnings.map((text) => make("p", { class: "notice bad" }, sentence(text))));
  at("rows").replaceChildren();
  whole();
  more();
  proofs(answer);
  sent(state.answer);
  show(at("answer"), true);
  show(at("sent"), true);
  at("answer-title").focus();
  at("answer").scrollIntoView({ block: "start" });
  say(`There is an answer for ${plural(rows.length, "row")}.`, true);
}

function whole() {
  const { answer } = state;
  const indices = answer.outputs.map((_, index) => index).filter((index) => isWhole(answer, index));
  if (indices.length === 0) return;
  const parts = indices.map((index) => output(answer, index, 0, true));
  at("rows").append(make("li", {}, make("div", { class: "head" }, make("h3", {}, "All rows together")), ...parts));
}

function more() {
  const { answer } = state;
  const indices = answer.outputs.map((_, index) => index).filter((index) => !isWhole(answer, index));
  const until = indices.length > 0 ? Math.min(answer.rows.length, state.shown + SHOWN) : 0;
  for (let row = state.shown; row < until; row += 1) at("rows").append(item(answer, indices, row));
  state.shown = until;
  const left = indices.length > 0 ? answer.rows.length - until : 0;
  at("more").textContent = `Show ${plural(Math.min(left, SHOWN), "more row", "more rows")} of ${count(left)}`;
  show(at("more"), left > 0);
}

at("more").addEventListener("click", () => {
  const first = state.shown;
  more();
  const item = at("rows").children[at("rows").children.length - (state.shown - first)];
  item?.setAttribute("tabindex", "-1");
  item?.focus();
});

// A row: what it is called, what it is, and the numbers of each output.
function item(answer, indices, row) {
  const name = answer.rows[row];
  const picture = answer.asked.find((entry) => entry.url && entry.file.name === name);
  const found = indices.map((index) => label(answer, index, row)).filter((text) => text !== null);
  // A model may return its scores and the class that they say.
  const labels = [...new Set(found)];
  const head = make(
    "div",
    { class: "head" },
    picture ? make("img", { class: "thumb", src: picture.url, alt: "" }) : null,
    make("div", { class: "who" }, make("span", {}, name), labels.length ? make("p", { class: "what" }, labels.join(" · ")) : null),
  );
  return make("li", {}, head, ...indices.map((index) => output(answer, index, row, indices.length > 1)));
}

const called = (label) => (typeof label === "number" ? `Class ${label}` : label);

// The one thing that an output says of a row, where there is one.
function label(answer, index, row) {
  const report = answer.report.outputs[index];
  if (report.kind === "numbers") {
    const numbers = report.numbers[row];
    return numbers.length === 1 ? number(numbers[0]) : null;
  }
  if (report.kind === "decision" && !report.labels) return percent(report.numbers[row][0]);
  if (report.labels?.[row] !== undefined) return called(report.labels[row]);
  return ["classes", "class", "probabilities"].includes(report.kind) ? null : answer.said[index][row];
}

function output(answer, index, row, titled) {
  const report = answer.report.outputs[index];
  const title = titled ? make("h4", {}, answer.outputs[index].name) : null;
  const list = scores(report, row);
  if (list.length === 0) return title ? make("div", { class: "output" }, title, make("p", {}, answer.said[index][row])) : "";
  const all = bars(list, `${answer.outputs[index].name} of ${answer.rows[row] ?? "all rows"}`);
  const rest = report.kind === "numbers" ? numbersOf(answer, index) - list.length : 0;
  const note = rest > 0 ? make("p", { class: "note" }, `And ${plural(rest, "more number")}: all of them are in the files below.`) : null;
  return make("div", { class: "output" }, title, all, note);
}

// What gets a bar: a name, a value, and the part of the rail.
function scores(report, row) {
  const span = (values) => Math.max(...values.map((value) => Math.abs(value ?? 0)), 1e-30);
  if (report.kind === "classes" && report.top) {
    const ranked = report.top[row];
    const most = span(ranked.map(({ logit }) => logit));
    return ranked.map(({ label, logit, probability }) =>
      probability === undefined
        ? { name: called(label), text: number(logit), part: logit / most }
        : { name: called(label), text: percent(probability), part: probability },
    );
  }
  const numbers = report.numbers?.[row];
  if (!numbers) return [];
  if (report.kind === "decision") return [{ name: "Probability", text: percent(numbers[0]), part: numbers[0] }];
  if (report.kind === "probabilities") {
    return numbers.slice(0, NUMBERS).map((p, i) => ({ name: `Number ${i}`, text: percent(p), part: p }));
  }
  if (report.kind !== "numbers" || numbers.length === 1) return [];
  const most = span(numbers);
  return numbers.slice(0, NUMBERS).map((x, i) => ({ name: `Number ${i}`, text: number(x), part: (x ?? 0) / most }));
}

// Bars from the left; from the middle where there is something below zero.
function bars(list, name) {
  const below = list.some(({ part }) => part < 0);
  const bar = ({ name, text, part }, index) => {
    const fill = make("i", { class: part < 0 ? "below" : null });
    const width = Math.min(Math.abs(part), 1) * (below ? 50 : 100);
    fill.style.width = `${width}%`;
    fill.style.left = below ? `${part < 0 ? 50 - width : 50}%` : "0";
    return make(
      "li",
      {},
      make("span", { class: index === 0 && !below ? "label first" : "label" }, name),
      make("span", { class: "rail", "aria-hidden": "true" }, fill),
      make("span", { class: "value" }, text),
    );
  };
  return make("ul", { class: "bars", "aria-label": name }, ...list.map(bar));
}
