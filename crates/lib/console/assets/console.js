// Follows what happens on an open page, and counts ages on. Everything works without it.
"use strict";
(() => {
  const $ = (query, of = document) => of.querySelector(query);
  const all = (query, of = document) => [...of.querySelectorAll(query)];

  // The server's clock: the browser's may be wrong.
  const now = Number($('meta[name="slipway-now"]')?.content);
  let ahead = now ? Date.now() - now : 0;

  const short = (seconds) => {
    if (seconds < 100) return `${seconds}s`;
    if (seconds < 6000) return `${Math.floor(seconds / 60)}m`;
    if (seconds < 172800) return `${Math.floor(seconds / 3600)}h`;
    return `${Math.floor(seconds / 86400)}d`;
  };
  const count = () => {
    for (const time of all("time[data-ago]")) {
      const seconds = Math.trunc((Date.now() - ahead - Date.parse(time.dateTime)) / 1000);
      const text = seconds < 0 ? `in ${short(-seconds)}` : `${short(seconds)} ago`;
      if (time.textContent !== text) time.textContent = text;
    }
    for (const time of all("time[data-since]")) {
      const text = short(Math.max(0, Math.floor((Date.now() - ahead - Date.parse(time.dateTime)) / 1000)));
      if (time.textContent !== text) time.textContent = text;
    }
  };
  setInterval(count, 1000);

  // Copying a secret that is shown once.
  const wire = () => {
    for (const button of all("button[data-copy]")) {
      button.hidden = false;
      button.onclick = async () => {
        await navigator.clipboard.writeText($(`#${button.dataset.copy}`).textContent);
        button.textContent = "Copied";
      };
    }
  };
  wire();

  // A form is sent once, however often its button is pressed.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
  });
  addEventListener("pageshow", () => all("form[data-sent]").forEach((form) => delete form.dataset.sent));

  const main = $("main[data-live]");
  const bar = $("#connection");
  if (!main) return;
  const say = (text, link) => {
    bar.replaceChildren(text);
    if (link) {
      const a = document.createElement("a");
      a.href = link;
      a.textContent = "Sign in";
      bar.append(" ", a);
    }
    bar.hidden = !text;
  };
  const over = () => {
    stop();
    say("The session is over.", `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
  };

  // Puts new parts in place of old ones. What a person types in stays as it is.
  const isBusy = (part) => part.contains(document.activeElement) && document.activeElement !== part
    && document.activeElement.matches("input, select, textarea");
  const isTyped = (part) => all("input:not([type=hidden]), textarea", part).some((field) =>
    field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue);
  // Secrets and keys of forms differ each time, and ages count on: they are no news.
  const plain = (node) => {
    const copy = node.cloneNode(true);
    all("input[type=hidden]", copy).forEach((field) => field.remove());
    all("time[data-ago], time[data-since]", copy).forEach((time) => (time.textContent = ""));
    all("details[open]", copy).forEach((details) => (details.open = false));
    return copy.outerHTML;
  };
  const keepOpen = (old, part) => {
    const folds = all("details", old);
    for (const details of folds.filter((fold) => fold.open)) {
      const name = details.dataset.keep;
      const twin = name ? $(`details[data-keep="${CSS.escape(name)}"]`, part) : all("details", part)[folds.indexOf(details)];
      if (twin) twin.open = true;
    }
  };
  const put = (old, part) => {
    if (isBusy(old) || isTyped(old) || plain(old) === plain(part)) return;
    keepOpen(old, part);
    const href = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const left = all(".scroll", old).map((box) => box.scrollLeft);
    old.replaceWith(part);
    all(".scroll", part).forEach((box, n) => (box.scrollLeft = left[n] ?? 0));
    if (href) $(`a[href="${CSS.escape(href)}"]`, part)?.focus({ preventScroll: true });
  };
  const place = (fresh) => {
    const old = [...main.children];
    const parts = [...fresh.children];
    const key = (part) => part.id || part.tagName;
    const isSame = old.length === parts.length && old.every((part, n) => key(part) === key(parts[n]));
    if (isSame) old.forEach((part, n) => put(part, parts[n]));
    else if (!old.some((part) => isBusy(part) || isTyped(part))) {
      // A part came or went.
      keepOpen(main, fresh);
      main.replaceChildren(...parts);
    } else {
      for (const part of parts) {
        const twin = part.id && old.find((one) => one.id === part.id);
        if (twin) put(twin, part);
      }
    }
    wire();
    count();
  };

  let asking = false;
  let again = false;
  const refresh = async () => {
    if (asking) { again = true; return; }
    asking = true;
    try {
      const answer = await fetch(location.href, { headers: { "x-slipway-part": "1" }, redirect: "manual" });
      if (answer.status === 401) return over();
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const told = Number($('meta[name="slipway-now"]', page)?.content);
      if (told) ahead = Date.now() - told;
      document.title = page.title;
      const fresh = $("main", page);
      place(fresh);
      if (!fresh.dataset.live) { stop(); say(""); }
      else { main.dataset.live = fresh.dataset.live; say(""); }
    } catch {
      say("The control plane cannot be reached. The page tries again by itself.");
      later();
    } finally {
      asking = false;
      if (again) { again = false; refresh(); }
      if (source) lookSoon();
    }
  };

  // What has no event of its own, such as an answer of the checks, is asked for while a part of the page says so.
  let soon = null;
  const lookSoon = () => {
    clearTimeout(soon);
    if ($("[data-soon]", main)) soon = setTimeout(refresh, 5000);
  };

  let source = null;
  let timer = null;
  let tries = 0;
  const stop = () => { source?.close(); source = null; clearTimeout(timer); clearTimeout(soon); };
  const later = () => {
    stop();
    tries += 1;
    // Spread over time, so that many pages do not come back at once.
    timer = setTimeout(open, Math.min(15000, 500 * 2 ** tries) * (0.5 + Math.random() / 2));
  };
  let wasAway = false;
  function open() {
    stop();
    source = new EventSource(main.dataset.live);
    lookSoon();
    source.onopen = () => {
      tries = 0;
      if (wasAway) refresh();
      wasAway = false;
    };
    source.addEventListener("news", refresh);
    source.addEventListener("over", over);
    source.onerror = () => {
      wasAway = true;
      later();
      // Whether the session is over or the server is away, the page's own request tells.
      if (tries > 1) refresh();
    };
  }
  open();
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (event) => { if (event.persisted) { open(); refresh(); } });
})();
