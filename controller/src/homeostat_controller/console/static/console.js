// Keeps a page fresh without taking anything away from its reader: values change in place; scroll, focus, selection and
// what was typed stay. A changed order of rows waits behind a button. Without this script every page still works.
"use strict";

const PERIOD_MS = 3000;
const PERIOD_MS_MAX = 60000;
let period = PERIOD_MS;
let timer = 0;

function busy(element) {
  // Someone types here, or has text of it selected.
  const active = document.activeElement;
  if (active && element.contains(active) && active.matches("input, textarea, select")) return true;
  const selection = document.getSelection();
  return Boolean(selection && !selection.isCollapsed && selection.intersectsNode(element));
}

function replaceInside(old, fresh) {
  if (old.innerHTML === fresh.innerHTML || busy(old)) return;
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const address = focused && focused.getAttribute("href");
  old.replaceChildren(...fresh.childNodes);
  old.hidden = fresh.hidden;
  if (address) {
    const again = [...old.querySelectorAll("a[href]")].find((one) => one.getAttribute("href") === address);
    if (again) again.focus({ preventScroll: true });
  }
}

function keys(body) {
  return [...body.children].map((row) => row.dataset.key);
}

function mark(cell) {
  cell.classList.add("fresh");
  cell.addEventListener("animationend", () => cell.classList.remove("fresh"), { once: true });
}

function refreshRows(old, fresh) {
  const rows = new Map([...fresh.children].map((row) => [row.dataset.key, row]));
  for (const row of old.children) {
    const next = rows.get(row.dataset.key);
    if (!next || next.innerHTML === row.innerHTML) continue;
    [...row.children].forEach((cell, index) => {
      const before = cell.textContent;
      replaceInside(cell, next.children[index]);
      if (cell.textContent !== before && cell.querySelector(".pill")) mark(cell);
    });
  }
  const now = keys(old);
  const then = keys(fresh);
  const changes = then.filter((key, index) => key !== now[index]).length + now.filter((key) => !rows.has(key)).length;
  const button = old.closest(".card").querySelector("[data-moved]");
  if (!button) return;
  button.hidden = changes === 0;
  button.textContent = changes === 1 ? "1 update" : `${changes} updates`;
  button.onclick = () => {
    old.replaceChildren(...fresh.children);
    button.hidden = true;
  };
}

function apply(page) {
  for (const fresh of page.querySelectorAll("[data-live]")) {
    const old = document.querySelector(`[data-live="${CSS.escape(fresh.dataset.live)}"]`);
    if (!old) continue;
    replaceInside(old, fresh);
    old.hidden = fresh.hidden;
    if (fresh.dateTime) old.dateTime = fresh.dateTime;
  }
  for (const fresh of page.querySelectorAll("[data-rows]")) {
    const old = document.querySelector(`[data-rows="${fresh.dataset.rows}"]`);
    if (old) refreshRows(old, fresh);
  }
  // A list that was empty, a form that is no longer wanted: the page has another shape now.
  const shape = (root) => [...root.querySelectorAll("[data-rows], form.decide")].map((one) => one.className + one.dataset.rows).join();
  if (shape(document) !== shape(page) && !busy(document.body)) location.reload();
}

function tell(state, text) {
  const sign = document.querySelector("[data-live-state]");
  if (!sign || sign.dataset.state === state) return;
  sign.dataset.state = state;
  sign.textContent = text;
}

async function refresh() {
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
    // The session has ended: the way in is where the controller sends us.
    if (answer.type === "opaqueredirect") return location.reload();
    if (!answer.ok) throw new Error(String(answer.status));
    apply(new DOMParser().parseFromString(await answer.text(), "text/html"));
    period = PERIOD_MS;
    tell("live", "live");
  } catch {
    period = Math.min(period * 2, PERIOD_MS_MAX);
    tell("stale", "not reached; shown as it was");
  }
}

async function refreshAndWait() {
  clearTimeout(timer);
  timer = 0;
  // A page that nobody looks at asks nothing; it catches up when it is looked at again.
  if (document.visibilityState === "visible") await refresh();
  if (!timer) timer = setTimeout(refreshAndWait, period);
}

async function welcome(secret) {
  const note = document.querySelector("[data-welcome]");
  const mistake = document.querySelector("[data-welcome-mistake]");
  if (note) note.hidden = false;
  history.replaceState(null, "", location.pathname);
  try {
    const answer = await fetch("/api/v1/session/welcome", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ secret }),
    });
    if (answer.ok) return location.replace("/");
    const problem = await answer.json();
    throw new Error(`${problem.title} ${problem.next}`);
  } catch (error) {
    if (note) note.hidden = true;
    if (mistake) {
      mistake.hidden = false;
      mistake.textContent = error.message;
    }
  }
}

const invited = /^#welcome=([\w-]+)$/.exec(location.hash);
if (invited) welcome(invited[1]);
else if (document.querySelector("[data-live-state]")) {
  timer = setTimeout(refreshAndWait, PERIOD_MS);
  window.addEventListener("online", refreshAndWait);
  document.addEventListener("visibilitychange", refreshAndWait);
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.activeElement && document.activeElement.matches("input, textarea")) return;
  const search = document.querySelector('input[type="search"]');
  if (search) {
    event.preventDefault();
    search.focus();
  }
});
