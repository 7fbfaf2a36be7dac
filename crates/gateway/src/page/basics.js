// What all of the page uses: elements, numbers for people, and what is known so far.

export const state = { about: null, model: null, files: [], answer: null, shown: 0, running: null };

export const at = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function show(element, shown) {
  element.hidden = !shown;
}

export const plural = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;
export const count = (n) => n.toLocaleString("en");

export function bytes(n) {
  if (n < 1000) return `${n} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let unit = -1;
  while (n >= 999.5 && unit + 1 < units.length) {
    n /= 1000;
    unit += 1;
  }
  return `${n < 10 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

export function number(x) {
  if (x === null) return "not a number";
  if (Number.isInteger(x) && Math.abs(x) < 1e7) return String(x);
  if (Math.abs(x) >= 1e-3 && Math.abs(x) < 1e7) return x.toPrecision(4);
  return x.toExponential(3);
}

// Hardly any is not none, and nearly all is not all.
export function percent(p) {
  if (p > 0 && p < 0.0005) return "< 0.1 %";
  if (p < 1 && p >= 0.9995) return "> 99.9 %";
  return `${(100 * p).toFixed(1)} %`;
}

export const party = (index) => state.about.security.parties[index]?.name ?? `P${index}`;

// Milliseconds between what is spoken to who does not see the page.
const SPOKEN = 4000;

let spokenAt = 0;
export function say(text, now) {
  if (!now && Date.now() - spokenAt < SPOKEN) return;
  spokenAt = Date.now();
  at("spoken").textContent = text;
}

export function sentence(text) {
  // The name of a file stays as it is.
  const begun = /^[a-z]+ /.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
