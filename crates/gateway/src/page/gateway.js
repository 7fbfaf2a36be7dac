// Questions to the gateway, with the key where there is one. The key is kept in this tab alone.

const API = "/page/api";
export const KEY = "cryptflow-key";

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export async function ask(path, options = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...options.headers };
  if (key) headers["X-API-Key"] = key;
  let response;
  try {
    response = await fetch(API + path, { ...options, headers, cache: "no-store", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The gateway cannot be reached. Does it run?");
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  throw new Refused(response.status, said.error ?? `The gateway answers with the status ${response.status}.`);
}

export async function* events(response) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop();
      for (const text of lines) yield JSON.parse(text);
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The connection to the gateway was lost before there was an answer.");
  }
}
