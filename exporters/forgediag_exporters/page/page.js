// Keeps the page as new as the daemon's facts: asks for it again and changes only what differs,
// so that scroll position, focus, selection and opened details stay as they are.
"use strict";

const EVERY = 2000;
const state = document.getElementById("state");
let failures = 0;

function same(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && (one.id || "") === (other.id || "");
}

function attributes(old, fresh) {
  for (const { name, value } of fresh.attributes) {
    if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
}

function children(old, fresh) {
  let at = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    let found = at;
    while (found && !same(found, wanted)) found = wanted.id ? found.nextSibling : null;
    if (!found) {
      old.insertBefore(document.importNode(wanted, true), at);
      continue;
    }
    while (at !== found) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
    at = found.nextSibling;
    update(found, wanted);
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function update(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.nodeValue = fresh.nodeValue;
    return;
  }
  attributes(old, fresh);
  children(old, fresh);
}

function say(text, kind) {
  if (state.textContent !== text) state.textContent = text;
  state.className = kind;
}

async function refresh() {
  const answer = await fetch(location.pathname + location.search, {
    headers: { accept: "text/html" }, cache: "no-store", signal: AbortSignal.timeout(10000),
  });
  if (!answer.ok || !answer.headers.get("content-type").startsWith("text/html")) throw new Error(String(answer.status));
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ["seen", "main"]) update(document.getElementById(id), fresh.getElementById(id));
  if (document.title !== fresh.title) document.title = fresh.title;
}

async function turn() {
  if (!document.hidden) {
    try {
      await refresh();
      failures = 0;
      say("● live", "live");
    } catch (error) {
      failures += 1;
      say(failures > 1 ? "✕ forgediag does not answer: what is shown is old" : "…", "lost");
    }
  }
  setTimeout(turn, EVERY);
}

say("● live", "live");
setTimeout(turn, EVERY);
