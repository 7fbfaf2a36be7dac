// Who the parties are, what each has proved, and what was sent to whom.

import { at, count, make, party, show, state } from "./basics.js";

export function places() {
  show(at("simulated"), state.about.security.simulated);
  at("places").replaceChildren(
    ...state.about.security.parties.map((one) =>
      make("li", { class: "place" }, make("h3", {}, one.name), make("p", {}, "Shares only")),
    ),
  );
}

export function proofs(answer) {
  const { security } = state.about;
  const notes = {
    simulated: "The evidence is simulated: it proves nothing.",
    attested:
      "Each party proves, with evidence that its hardware signs, what it runs; your gateway checks that against its policy before anything is sent. " +
      "A party that cheats is found out, as far as the hardware can be trusted.",
    none:
      "No evidence is asked for here, so no party has proved what it runs (semi-honest security). Your data stays private if each of them follows the " +
      "protocol, and if no two of them put together what they hold.",
  };
  at("proved-note").textContent = notes[security.simulated ? "simulated" : security.attested ? "attested" : "none"];
  at("proved").replaceChildren(...security.parties.map((one, index) => proof(one, index, answer)));
}

function proof(one, index, answer) {
  const { security } = state.about;
  const text = answer?.proved[index];
  let what = "What it runs: not proved.";
  if (text) what = security.simulated ? "What it runs: not proved. Keys in a folder say:" : "What it runs: proved, before your data was sent:";
  else if (security.attested) what = "What it runs: shown anew in every session, before your data is sent.";
  return make(
    "li",
    {},
    make("h3", {}, one.name),
    make("p", {}, what),
    text ? make("p", { class: "note mono" }, text) : null,
    make("p", { class: "note" }, `Who it is: whoever holds this key, which every connection to ${one.address} is checked against.`),
    make("p", { class: "note mono" }, one.fingerprint),
  );
}

export function sent(answer) {
  const { report, exchanged } = answer;
  const here = "This gateway";
  const lines = exchanged.map((one, index) => [here, party(index), "shares of what you asked", one.sent]);
  for (const [link, n] of Object.entries(report.bytes.links)) {
    const [from, to] = link.split("_").map((name) => Number(name.slice(1)));
    if (n > 0) lines.push([party(from), party(to), "messages of the protocol, masked", n]);
  }
  exchanged.forEach((one, index) => lines.push([party(index), here, "its shares of the answer", one.received]));
  const way = ([from, to, what, n]) => {
    const ends = make("td", {}, from, make("span", { "aria-hidden": "true" }, " → "), make("span", { class: "hidden" }, " to "), to);
    ends.append(make("span", { class: "note" }, what));
    return make("tr", {}, ends, make("td", { class: "number" }, count(n)));
  };
  at("links").replaceChildren(...lines.map(way));
  const { session } = report;
  const facts = [
    ["Session", session.id, true],
    ["Model", `${session.model}, ${session.deployment}`, true],
    ["Security", session.security],
    ["Protocol", answer.model.protocol],
    ["Rounds", count(report.rounds)],
    ["Time", `${report.seconds.online.toFixed(2)} s to compute, ${report.seconds.share.toFixed(2)} s to hand out the shares`],
  ];
  if (session.policy) facts.push(["Policy", session.policy, true]);
  at("facts").replaceChildren(
    ...facts.flatMap(([name, text, mono]) => [make("dt", {}, name), make("dd", { class: mono ? "mono" : null }, text)]),
  );
}
