"use strict";
// Every two seconds, what the party says of itself. Nothing of it becomes markup: texts only.
const PAUSE = 2000;
const $ = (id) => document.getElementById(id);
let token = "";

function element(tag, text, kind) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 1000 && unit + 1 < units.length) { bytes /= 1000; unit += 1; }
  return `${unit ? bytes.toPrecision(3) : bytes} ${units[unit]}`;
}

function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

// A table of rows; a cell is a text, a number's text, or an element.
function table(place, columns, rows, none) {
  if (rows.length === 0) { $(place).replaceChildren(element("p", none, "quiet")); return; }
  const made = element("table"), head = element("thead"), body = element("tbody"), names = element("tr");
  for (const [name, number] of columns) names.append(element("th", name, number ? "number" : ""));
  head.append(names);
  for (const row of rows) {
    const line = element("tr");
    row.forEach((cell, i) => {
      const made = element("td", undefined, columns[i][1] ? "number" : "break");
      made.dataset.label = columns[i][0];
      made.append(cell instanceof Node ? cell : element("span", String(cell)));
      line.append(made);
    });
    body.append(line);
  }
  made.append(head, body);
  $(place).replaceChildren(made);
}

function tile(value, name) {
  const made = element("div", undefined, "tile");
  made.append(element("b", value), element("span", name));
  return made;
}

function progress(session) {
  const made = element("div");
  const says = session.phase === "run" && session.step === 0 ? "begins a run" : session.phase === "run"
    ? `layer ${session.step} of ${session.steps}${session.layer ? `: ${session.layer}` : ""}`
    : { meet: "comes together", wait: "waits for its client", take: "takes inputs" }[session.phase] || session.phase;
  made.append(element("span", says));
  if (session.phase === "run" && session.step > 0) {
    const bar = element("progress");
    bar.max = session.steps;
    bar.value = session.step;
    made.append(bar);
  }
  return made;
}

function code(text) {
  const made = element("code", text.length > 16 ? `${text.slice(0, 16)}…` : text);
  made.title = text;
  return made;
}

// The versions of a model, a row each; what is wrong with them all, where they cannot be read.
function versions(model) {
  if (model.versions.length === 0) return [[model.name, "–", element("span", model.damage, "bad"), "–", "–", "–", "–", "–", "–"]];
  return model.versions.map((x) => [model.name, x.generation,
    x.damage !== null ? element("span", `${x.state}: ${x.damage}`, "bad")
      : element("span", x.digest === null ? `${x.state === "staged" ? "staged: " : ""}removed` : x.state, x.state === "used" ? "good" : "quiet"),
    x.protocol || "–", x.digest === null ? "–" : code(x.digest), x.bytes === null ? "–" : size(x.bytes),
    x.state === "used" && model.dealt_bytes > 0 ? `${model.dealt_runs} runs, ${size(model.dealt_bytes)}` : "–",
    new Date(x.time * 1000).toLocaleString(), x.client]);
}

function show(said) {
  const s = said.state, p = s.party;
  const name = p.name && p.name !== `p${p.index}` ? `P${p.index} · ${p.name}` : `P${p.index}`;
  $("title").textContent = name;
  document.title = `${said.ready ? "" : "! "}${name}`;
  $("state").textContent = said.ready ? "ready" : "not ready";
  $("state").className = `state ${said.ready ? "good" : "bad"}`;
  $("who").textContent = `version ${p.version}, messages ${p.messages}, up ${span(p.uptime)}, at ${p.listen}, runs ${p.protocols.join(", ")}; ` +
    (p.hardware ? `attests with ${p.hardware}` : "attests nothing");
  $("causes").hidden = said.ready;
  $("causes-list").replaceChildren(...s.causes.map((cause) => {
    const line = element("li");
    line.append(element("b", cause.code), ` ${cause.message}`, element("span", cause.advice, "quiet"));
    return line;
  }));
  const memory = (s.memory.party || 0) + s.memory.sessions;
  const sent = Object.values(s.totals.sent).reduce((a, b) => a + b, 0);
  $("tiles").replaceChildren(
    tile(`${s.places.taken} of ${s.places.most}`, "sessions"),
    tile(s.places.waiting, "waiting"),
    tile(s.totals.runs, "runs"),
    tile(size(sent), "sent to other parties"),
    tile(size(memory), "memory"),
    tile(span(s.files.certificate), "age of the certificate"),
    ...(s.files.collateral === null ? [] : [tile(span(s.files.collateral), "age of the collateral")]),
  );
  table("sessions", [["client"], ["model"], ["at"], ["for", true], ["runs", true], ["sent", true], ["memory", true]],
    s.sessions.map((x) => [x.client, `${x.model} (${x.protocol})`, progress(x), span(x.seconds), x.runs, size(x.sent),
      x.memory ? size(x.memory) : "–"]), "None runs.");
  table("peers", [["party"], ["address"], ["state"], ["rtt", true], ["clock", true], ["version", true], ["messages", true]],
    s.peers.map((x) => [x.name === `p${x.index}` ? `P${x.index}` : `P${x.index} · ${x.name}`, x.address,
      x.asked === null ? "not asked yet" : element("span", x.reached ? "reached" : "not reached", x.reached ? "good" : "bad"),
      span(x.rtt), x.clock === null ? "–" : `${x.clock < 0 ? "−" : "+"}${span(Math.abs(x.clock))}`, x.version || "–", x.messages || "–"]), "There are none.");
  const older = s.peers.filter((x) => x.messages !== null && x.messages < p.messages);
  $("mixed").hidden = older.length === 0;
  $("mixed").textContent = older.length === 0 ? "" : `${older.map((x) => `P${x.index}`).join(" and ")} ` +
    `${older.length === 1 ? "speaks" : "speak"} older messages than this party, which speaks version ${p.messages}: sessions speak ` +
    "the newest that all speak. They work; upgrade the others, or remove session.messages where it is set.";
  table("models", [["name"], ["version", true], ["state"], ["protocol"], ["digest"], ["size", true], ["dealt ahead", true], ["from"], ["by"]],
    s.models.flatMap(versions), "None is deployed here.");
  const rows = (of, unit) => Object.entries(of).map(([what, count]) => [what, unit(count)]);
  const count = (n) => n;
  table("totals", [["what"], ["which"], ["how much", true]], [
    ...rows(s.totals.ended, count).map((x) => ["sessions ended", ...x]),
    ...rows(s.totals.refused, count).map((x) => ["refused", ...x]),
    ...rows(s.totals.seconds, span).map((x) => ["time of sessions", ...x]),
    ...rows(s.totals.sent, size).map(([peer, n]) => ["sent", `to P${peer}`, n]),
    ["rounds", "of all runs", s.totals.rounds],
  ], "");
  $("audit").replaceChildren(
    element("span", `${s.audit.entries} entries, the last `), code(s.audit.head || "–"),
    element("span", s.audit.writable ? "" : " — it cannot be written: no session is served", "bad"));
  $("main").hidden = false;
}

async function ask() {
  let said = "";
  try {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const answer = await fetch("status.json", { headers, cache: "no-store", signal: AbortSignal.timeout(5000) });
    $("ask").hidden = answer.status !== 401;
    if (answer.status === 401) {
      $("main").hidden = true;
      $("state").textContent = token ? "the token is another" : "locked";
      return;
    }
    show(await answer.json());
    said = `as of ${new Date().toLocaleTimeString()}`;
  } catch (error) {
    $("state").textContent = "does not answer";
    $("state").className = "state bad";
    said = "The party does not answer: it may have stopped.";
  }
  $("fresh").textContent = said;
}

// One question at a time, however long an answer takes.
async function keepAsking() {
  await ask();
  setTimeout(keepAsking, PAUSE);
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  $("token").value = "";
  ask();
});
keepAsking();
