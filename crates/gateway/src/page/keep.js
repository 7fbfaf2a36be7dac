// The answer as files to keep.

import { at, make, state } from "./basics.js";
import { isWhole, numbersOf } from "./outputs.js";

function keep(name, form, text) {
  const url = URL.createObjectURL(new Blob([text], { type: form }));
  const link = make("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

at("json").addEventListener("click", () => {
  const { rows, outputs, said, warnings, exchanged, proved, report } = state.answer;
  const text = JSON.stringify({ rows, outputs, said, warnings, exchanged, proved, report }, null, 1);
  keep(`${state.answer.model.name}-answer.json`, "application/json", text);
});

at("csv").addEventListener("click", () => {
  keep(`${state.answer.model.name}-answer.csv`, "text/csv", table(state.answer));
});

function table(answer) {
  // A name is no formula, whatever a table program makes of its first character.
  const cell = (text) => `"${text.replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""')}"`;
  const columns = [["row", (row) => cell(answer.rows[row])]];
  answer.outputs.forEach((output, index) => {
    if (isWhole(answer, index)) return;
    const { kind, labels } = answer.report.outputs[index];
    if (["classes", "class", "decision"].includes(kind) && labels?.length === answer.rows.length) {
      columns.push([`${output.name} label`, (row) => cell(String(labels[row]))]);
    }
    const n = numbersOf(answer, index);
    for (let i = 0; i < n; i += 1) {
      columns.push([n === 1 ? output.name : `${output.name} ${i}`, (row) => String(output.data[row * n + i] ?? "")]);
    }
  });
  const lines = [columns.map(([name]) => cell(name)).join(",")];
  answer.rows.forEach((_, row) => lines.push(columns.map(([, value]) => value(row)).join(",")));
  return `${lines.join("\r\n")}\r\n`;
}
