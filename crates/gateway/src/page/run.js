// A question: from its files to an answer, or to the reason why there is none.

import { answered } from "./answer.js";
import { at, bytes, sentence, show, state } from "./basics.js";
import { wrong } from "./files.js";
import { Refused, ask, events } from "./gateway.js";
import { begin, end, follow } from "./progress.js";

// Who lets people in, where a key is known no more.
let enter = () => {};

// Has `door` let people in again.
export function begins(door) {
  enter = door;
}

at("question").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!state.running) run();
});

at("stop").addEventListener("click", () => state.running?.abort());

async function run() {
  if (!state.model) return wrong("Choose a model that can be asked.", true);
  if (state.files.length === 0) return wrong("Give a file first.", true);
  const files = state.files.map(({ file, input }) => ({ name: file.name, size: file.size, ...(input ? { input } : {}) }));
  const head = new TextEncoder().encode(JSON.stringify({ files }));
  const all = files.reduce((sum, file) => sum + file.size, head.length);
  if (all > state.about.longest) {
    return wrong(`These files are ${bytes(all)}, and ${bytes(state.about.longest)} go at a time. Give fewer.`, true);
  }
  const model = state.model;
  const asked = [...state.files];
  state.running = new AbortController();
  begin();
  try {
    const response = await ask(`/models/${encodeURIComponent(model.name)}/run`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream", "inference-header-content-length": String(head.length) },
      body: new Blob([head, ...asked.map(({ file }) => file)]),
      signal: state.running.signal,
    });
    let last = null;
    for await (const event of events(response)) {
      last = event;
      follow(event, model);
    }
    if (last?.event === "failure") throw new Refused(last.status, last.error);
    if (last?.event !== "answer") throw new Refused(0, "The gateway broke off before there was an answer.");
    end();
    answered(last, model, asked);
  } catch (error) {
    end();
    failed(error);
  }
}

// What is wrong with a request stays wrong; all else may be tried again.
const isFinal = (error) => error.status >= 400 && error.status < 500 && ![408, 429].includes(error.status);

function failed(error) {
  show(at("run"), isFinal(error));
  show(at("again"), !isFinal(error));
  if (error.name === "AbortError") {
    wrong("You stopped waiting: the run is ended, and nobody gets an answer.");
    at("again").focus();
  } else if (error.status === 401) {
    show(at("room"), false);
    enter();
  } else if (error instanceof Refused) {
    const kept = isFinal(error) ? "" : "\nNothing is lost: your files are still here.";
    wrong(sentence(error.message) + kept, isFinal(error));
    if (!isFinal(error)) at("again").focus();
  } else {
    wrong(`A defect of this page: ${error}`, true);
  }
}
