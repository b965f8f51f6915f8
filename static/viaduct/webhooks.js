// The Webhooks tab: opens rows, keeps the list alive, copies. Everything works without it, only with more clicks.
"use strict";

(() => {
  const POLL_MS = 3000;
  const FARTHEST_MS = 60000;
  const MOST_ROWS = 300;

  // ── Opening ────────────────────────────────────────────────────────────────────────────────────────────────────
  async function open(details) {
    const place = details.querySelector(":scope > [data-open]");
    if (!details.open || !place || details.dataset.loaded) return;
    details.dataset.loaded = "yes";
    place.classList.add("is-loading");
    place.textContent = "Loading…";
    const html = await ask(details.dataset.src);
    place.classList.remove("is-loading");
    if (html === null) {
      delete details.dataset.loaded;
      place.textContent = "This could not be loaded. Close and open it to try again.";
      return;
    }
    place.innerHTML = html;
  }

  async function ask(address) {
    try {
      const answer = await fetch(address, { headers: { "X-Requested-With": "fetch" } });
      return answer.ok && !answer.redirected ? await answer.text() : null;
    } catch {
      return null;
    }
  }

  document.addEventListener("toggle", (event) => {
    if (event.target.matches?.("details[data-src]")) open(event.target);
  }, true);

  // ── Copying ────────────────────────────────────────────────────────────────────────────────────────────────────
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy-link], [data-copy-from], [data-reload]");
    if (!button) return;
    if (button.dataset.reload !== undefined) return reload(button);
    const text = button.dataset.copyLink
      ? new URL(button.dataset.copyLink, location.href).href
      : await ask(button.dataset.copyFrom);
    say(button, text !== null && await copy(text) ? "Copied" : "Could not copy");
  });

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return copyBySelection(text);
    }
  }

  function copyBySelection(text) {
    const area = document.createElement("textarea");
    area.value = text;
    area.style.cssText = "position:fixed;opacity:0";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }

  function say(button, words) {
    const before = button.dataset.words ??= button.textContent;
    button.textContent = words;
    setTimeout(() => { button.textContent = before; }, 1500);
  }

  // ── Search from every page ─────────────────────────────────────────────────────────────────────────────────────
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
    const box = document.getElementById("vd-find");
    if (!box) return;
    event.preventDefault();
    box.focus();
  });

  // ── Live ───────────────────────────────────────────────────────────────────────────────────────────────────────
  let timer = 0;
  let wait = POLL_MS;
  let since = "";
  let isOn = true;

  function startLive(list, button) {
    since = list.dataset.since;
    button.hidden = false;
    button.addEventListener("click", () => {
      isOn = !isOn;
      button.setAttribute("aria-pressed", String(isOn));
      button.querySelector("span").textContent = isOn ? "Live" : "Paused";
      plan(list, button, isOn ? 0 : null);
    });
    document.addEventListener("visibilitychange", () => plan(list, button, document.hidden ? null : 0));
    plan(list, button, POLL_MS);
  }

  function plan(list, button, delay) {
    clearTimeout(timer);
    if (delay === null || !isOn || document.hidden) return;
    timer = setTimeout(() => look(list, button), delay);
  }

  async function look(list, button) {
    try {
      const answer = await fetch(`${list.dataset.live}changed_since=${encodeURIComponent(since)}`);
      if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
      since = answer.headers.get("X-Since") ?? since;
      if (answer.status !== 204) merge(list, await answer.text());
      wait = POLL_MS;
    } catch {
      wait = Math.min(wait * 2, FARTHEST_MS);
    }
    button.classList.toggle("is-broken", wait > POLL_MS);
    plan(list, button, wait);
  }

  function merge(list, html) {
    const place = list.querySelector("[data-lines]");
    const came = document.createElement("template");
    came.innerHTML = html;
    for (const gone of came.content.querySelectorAll("[data-gone]")) {
      place.querySelector(`#d${gone.dataset.gone}`)?.classList.add("is-out");
    }
    for (const row of came.content.querySelectorAll("details[data-id]")) mergeRow(list, place, row);
    if (place.firstElementChild) list.querySelector("[data-empty]")?.remove();
    const closed = [...place.querySelectorAll(":scope > details:not([open])")];
    for (const row of closed.slice(MOST_ROWS)) {
      pickOf(row)?.remove();
      row.remove();
    }
  }

  function mergeRow(list, place, row) {
    const shown = place.querySelector(`#${row.id}`);
    if (shown) return renew(shown, row);
    const id = Number(row.dataset.id);
    const next = [...place.querySelectorAll(":scope > details")].find((other) => Number(other.dataset.id) < id);
    if (!next && list.dataset.hasOlder !== undefined && place.firstElementChild) return;
    const pick = pickOf(row);
    const where = (next && pickOf(next)) ?? next ?? null;
    row.classList.add("is-new");
    if (pick) place.insertBefore(pick, where);
    place.insertBefore(row, where);
  }

  // The box to pick a row stands before it, since nothing that acts may stand inside a summary.
  function pickOf(row) {
    const before = row.previousElementSibling;
    return before?.matches(".vd-pick") ? before : null;
  }

  function renew(shown, row) {
    shown.classList.remove("is-out");
    if (shown.dataset.stamp === row.dataset.stamp) return;
    shown.dataset.stamp = row.dataset.stamp;
    shown.querySelector("summary").replaceWith(row.querySelector("summary"));
    const opened = shown.querySelector(":scope > [data-open]");
    if (!shown.open) {
      delete shown.dataset.loaded;
    } else if (!opened.querySelector("[data-reload]")) {
      const bar = document.createElement("p");
      bar.className = "vo-changed";
      bar.innerHTML = 'This delivery has changed. <button type="button" class="vd-quiet" data-reload>Show the change</button>';
      opened.prepend(bar);
    }
  }

  function reload(button) {
    const details = button.closest("details.vd-row[data-src]");
    if (!details) return location.reload();
    delete details.dataset.loaded;
    return open(details);
  }

  // ── Buttons that act: what they did is said in place ───────────────────────────────────────────────────────────
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("form[data-inline]")) return;
    event.preventDefault();
    const question = event.submitter?.dataset.ask;
    if (question && !confirm(question)) return;
    const buttons = form.querySelectorAll("button");
    for (const button of buttons) button.disabled = true;
    const row = form.closest("details.vd-row[data-src]");
    const outcome = await act(form, event.submitter);
    for (const button of buttons) button.disabled = false;
    if (row) {
      delete row.dataset.loaded;
      await open(row);
    } else if (outcome.tone === "good") {
      return location.reload();
    }
    tell(row?.querySelector(".vo") ?? form, outcome);
  });

  async function act(form, submitter) {
    try {
      const answer = await fetch(form.action, {
        method: "POST",
        body: new FormData(form, submitter),
        headers: { "X-Requested-With": "fetch" },
      });
      if (answer.ok && !answer.redirected) return await answer.json();
      return { sentence: answer.status === 403 ? "You may not do this." : "This did not work. Reload the page.", tone: "bad" };
    } catch {
      return { sentence: "The server could not be reached.", tone: "bad" };
    }
  }

  function tell(place, outcome) {
    const words = document.createElement("p");
    words.className = `vo-told ${outcome.tone}`;
    words.setAttribute("role", "status");
    words.textContent = outcome.sentence;
    place.prepend(words);
  }

  document.addEventListener("DOMContentLoaded", () => {
    const list = document.querySelector("[data-live]");
    const button = document.querySelector("[data-live-switch]");
    if (list && button) startLive(list, button);
    if (location.hash.startsWith("#d")) document.querySelector(`details${CSS.escape ? `#${CSS.escape(location.hash.slice(1))}` : location.hash}`)?.setAttribute("open", "");
  });
})();
