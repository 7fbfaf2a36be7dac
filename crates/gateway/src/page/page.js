// The page of the data's owner. Files go to the gateway as they lie; answers come from it line by line. What is shown is
// made of text alone, never of markup that came from elsewhere.

import "./keep.js";
import { at, make, show, state } from "./basics.js";
import { KEY, ask } from "./gateway.js";
import { models } from "./model.js";
import { places, proofs } from "./parties.js";
import { begins } from "./run.js";

async function enter() {
  try {
    state.about = await (await ask("/about")).json();
  } catch (refused) {
    if (refused.status !== 401) {
      show(at("door"), false);
      const notice = make("p", { class: "notice bad", role: "alert" }, refused.message);
      document.querySelector("main").prepend(notice);
      return;
    }
    const tried = sessionStorage.getItem(KEY);
    sessionStorage.removeItem(KEY);
    show(at("door"), true);
    at("key-error").textContent = tried ? "The gateway does not know this key." : "";
    at("key").toggleAttribute("aria-invalid", Boolean(tried));
    at("key").focus();
    return;
  }
  show(at("door"), false);
  show(at("room"), true);
  at("version").textContent = ` ${state.about.version}`;
  places();
  proofs(null);
  models();
}

at("door-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, at("key").value.trim());
  at("key").value = "";
  enter();
});

begins(enter);
enter();
