"use strict";

// Pages are whole without this file; it keeps them up to date and spares a few clicks.

(() => {
  const root = document.documentElement;

  // --- instants in the reader's own time zone ------------------------------------------------------------------

  const SIZES = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const distance = new Intl.RelativeTimeFormat("en");

  const left = (at) => {
    const seconds = Math.round((at - Date.now()) / 1000);
    const [unit, size] = SIZES.find(([, length]) => Math.abs(seconds) >= 2 * length) || SIZES[3];
    return distance.format(Math.trunc(seconds / size), unit);
  };

  const instants = (within) => {
    for (const time of within.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const today = at.toDateString() === new Date().toDateString();
      const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
      if (time.dataset.left) {
        time.textContent = left(at);
        time.title = at.toLocaleString();
        continue;
      }
      const text = today && !time.dataset.date
        ? at.toLocaleTimeString([], clock)
        : at.toLocaleString([], { year: "numeric", month: "short", day: "numeric", ...clock });
      if (time.textContent !== text) time.textContent = text;
      time.title = time.dateTime;
    }
  };

  // --- live updates --------------------------------------------------------------------------------------------

  // Brings `old` to what `fresh` is, node by node, so that focus, open details and what is being typed stay.
  const sameKind = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");

  const morph = (old, fresh) => {
    if (old.nodeType === Node.TEXT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE || old.hasAttribute("data-keep")) return;
    if (old.nodeName === "TIME" && old.dateTime === fresh.dateTime) return;
    for (const { name } of [...old.attributes]) {
      if (name !== "open" && name !== "title" && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    if (["INPUT", "TEXTAREA", "SELECT"].includes(old.nodeName)) return;
    const before = [...old.childNodes];
    const after = [...fresh.childNodes];
    let place = 0;
    for (const node of after) {
      const here = before[place];
      if (here && sameKind(here, node)) {
        morph(here, node);
        place += 1;
      } else {
        const later = node.id ? before.findIndex((other, index) => index > place && other.id === node.id) : -1;
        if (later > 0) {
          old.insertBefore(before[later], here || null);
          const [moved] = before.splice(later, 1);
          before.splice(place, 0, moved);
          morph(moved, node);
          place += 1;
        } else {
          const made = document.importNode(node, true);
          old.insertBefore(made, here || null);
          before.splice(place, 0, made);
          place += 1;
        }
      }
    }
    for (const left of before.slice(place)) left.remove();
  };

  const main = document.querySelector("main[data-live]");
  const lamp = document.querySelector(".live");
  const light = (state, text) => {
    if (lamp) {
      lamp.dataset.state = state;
      lamp.textContent = text;
    }
  };

  const PACE = 1000;
  const FALLBACK = 5000;
  let etag = null;
  let busy = false;
  let again = false;
  let last = 0;

  const refresh = async () => {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      const wait = last + PACE - Date.now();
      if (wait > 0) await new Promise((done) => setTimeout(done, wait));
      last = Date.now();
      const headers = { Accept: "text/html", ...(etag ? { "If-None-Match": etag } : {}) };
      const reply = await fetch(location.href, { headers, cache: "no-store", redirect: "error" });
      if (reply.status === 200) {
        etag = reply.headers.get("ETag");
        const page = new DOMParser().parseFromString(await reply.text(), "text/html");
        const fresh = page.querySelector("main");
        if (fresh && !document.querySelector("dialog[open]")) {
          morph(main, fresh);
          instants(main);
          wire(main);
          picked();
        }
        const count = page.querySelector("#attention");
        const shown = document.querySelector("#attention");
        if (count && shown) morph(shown, count);
        document.title = page.title;
        root.dataset.refreshed = String(Number(root.dataset.refreshed || 0) + 1);
      }
    } catch {
      light("off", "no connection");
    } finally {
      busy = false;
      if (again) {
        again = false;
        refresh();
      }
    }
  };

  const poll = () => {
    light("polling", "every 5 s");
    setInterval(() => document.hidden || refresh(), FALLBACK);
  };

  const listen = () => {
    if (!main || !main.dataset.live) return;
    if (!window.EventSource) {
      poll();
      return;
    }
    let failures = 0;
    const source = new EventSource(main.dataset.live);
    source.addEventListener("open", () => {
      failures = 0;
      light("on", "live");
    });
    source.addEventListener("changed", () => document.hidden || refresh());
    source.addEventListener("error", () => {
      failures += 1;
      light("off", "reconnecting");
      if (source.readyState === EventSource.CLOSED || failures > 3) {
        source.close();
        poll();
      }
    });
    document.addEventListener("visibilitychange", () => document.hidden || refresh());
  };

  // --- small comforts ------------------------------------------------------------------------------------------

  const wired = new WeakSet();
  const fresh = (element) => !wired.has(element) && Boolean(wired.add(element));

  const wire = (within) => {
    for (const all of within.querySelectorAll("input[data-all]")) {
      if (!fresh(all)) continue;
      all.addEventListener("change", () => {
        for (const box of document.querySelectorAll(`input[name="${all.dataset.all}"]`)) box.checked = all.checked;
        picked();
      });
    }
    for (const box of within.querySelectorAll("tbody input[type=checkbox]")) {
      if (fresh(box)) box.addEventListener("change", picked);
    }
    for (const button of within.querySelectorAll("button[data-copy]")) {
      button.hidden = !navigator.clipboard;
      if (!fresh(button)) continue;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
        button.textContent = "Copied";
      });
    }
  };

  const picked = () => {
    const shown = document.querySelector("[data-picked]");
    if (!shown) return;
    const count = document.querySelectorAll("tbody input[type=checkbox]:checked").length;
    shown.textContent = count ? `${count} selected` : "none selected";
    for (const button of document.querySelectorAll("[data-needs-picked]")) button.disabled = count === 0;
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    const question = event.submitter?.dataset.confirm;
    if (question && !window.confirm(question)) {
      event.preventDefault();
      return;
    }
    if (form.method === "post") {
      // A double click must not act twice.
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "1";
      setTimeout(() => delete form.dataset.sent, 4000);
    }
  });

  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
    const theme = event.target.closest("[data-theme-to]");
    if (theme) {
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      document.cookie = `crossdock-theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      for (const menu of document.querySelectorAll("details.menu[open]")) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    }
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.nodeName || "");
    if (event.key === "/" && !typing) {
      const search = document.querySelector("input[type=search]");
      if (search) {
        event.preventDefault();
        search.focus();
      }
    }
  });

  instants(document);
  setInterval(() => instants(document), 15000);
  wire(document);
  picked();
  listen();
})();
