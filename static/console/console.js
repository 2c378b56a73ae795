// What the pages do beside linking and posting: theme, menu, live parts, the search key, questions before an act.
"use strict";
(() => {
  const LIVE_KEY = "isthmusLive";
  const THEME_NAMES = { auto: "as the system", light: "light", dark: "dark" };

  const remember = (key, value) => {
    try {
      sessionStorage.setItem(key, value);
    } catch {
      // Without storage the choice holds for this page only.
    }
  };
  const remembered = (key) => {
    try {
      return sessionStorage.getItem(key);
    } catch {
      return null;
    }
  };

  // Theme.
  const nameTheme = (button) => {
    const text = `Theme: ${THEME_NAMES[window.isthmusTheme.current()]}. Change`;
    button.querySelector("[data-theme-label]").textContent = text;
    button.title = `Theme: ${THEME_NAMES[window.isthmusTheme.current()]}`;
  };
  for (const button of document.querySelectorAll("[data-theme-toggle]")) {
    button.hidden = false;
    nameTheme(button);
    button.addEventListener("click", () => {
      window.isthmusTheme.next();
      nameTheme(button);
    });
  }

  // Menu on narrow screens.
  const menu = document.querySelector("[data-menu]");
  const setMenu = (open) => {
    menu.setAttribute("aria-expanded", String(open));
    document.body.classList.toggle("menu-open", open);
  };
  if (menu) {
    menu.addEventListener("click", () => setMenu(menu.getAttribute("aria-expanded") !== "true"));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && menu.getAttribute("aria-expanded") === "true") {
        setMenu(false);
        menu.focus();
      }
    });
  }

  // Of tabs that do not fit, the current one is in sight.
  for (const tab of document.querySelectorAll(".tabs [aria-current='page']")) {
    const tabs = tab.closest(".tabs");
    const [place, whole] = [tab.getBoundingClientRect(), tabs.getBoundingClientRect()];
    tabs.scrollLeft += place.left - whole.left - (whole.width - place.width) / 2;
  }

  // "/" goes to the search box, unless somebody is typing.
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    const search = document.getElementById("search");
    if (event.key === "/" && search && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  });

  // Live parts: the server tells what changed, the part reads itself again. They stand still while paused, hidden, being
  // used or being read aloud from a selection, and catch up afterwards.
  const RETRY_SECONDS = 30;
  const livePart = () => document.querySelector("[data-live]");
  let live = remembered(LIVE_KEY) !== "off";
  let stream = null;
  let lastId = "";
  let isStale = false;
  let isReading = false;
  let polling = 0;
  let comingBack = 0;

  const isInUse = (part) => {
    const focused = document.activeElement;
    const selection = document.getSelection();
    return (
      (focused && focused !== document.body && part.contains(focused)) ||
      (selection && !selection.isCollapsed && part.contains(selection.anchorNode))
    );
  };
  // What is read anew: the live part, and the figures beside it where there are any.
  const isAnyInUse = () => [livePart(), document.getElementById("figures")].some((part) => part && isInUse(part));
  const readAgain = () => {
    const part = livePart();
    if (!part) {
      hangUp();
      return;
    }
    isStale = !live || document.hidden || isReading || isAnyInUse();
    if (!isStale) {
      window.htmx.trigger(part, "isthmus:changed");
    }
  };
  const poll = (part) => {
    polling ||= setInterval(readAgain, Number(part.dataset.liveSeconds) * 1000);
  };
  const hangUp = () => {
    stream?.close();
    stream = null;
    clearInterval(polling);
    clearTimeout(comingBack);
    polling = comingBack = 0;
  };
  const listen = () => {
    const part = livePart();
    if (!part || !live || document.hidden || stream) {
      return;
    }
    const address = new URL(part.dataset.live, window.location.href);
    if (lastId) {
      address.searchParams.set("last", lastId);
    }
    stream = new EventSource(address);
    const heard = (event) => {
      lastId = event.lastEventId;
      readAgain();
    };
    stream.addEventListener("open", () => {
      clearInterval(polling);
      polling = 0;
    });
    stream.addEventListener("here", heard);
    stream.addEventListener("changed", heard);
    stream.addEventListener("error", () => {
      // A stream that broke off is taken up again by the browser. One that was refused is not: then the page asks.
      if (stream?.readyState === EventSource.CLOSED) {
        stream = null;
        poll(part);
        comingBack = setTimeout(listen, RETRY_SECONDS * 1000);
      }
    });
  };
  const startOrRest = () => {
    if (live && !document.hidden) {
      listen();
    } else {
      hangUp();
    }
  };

  const showLive = (button) => button.setAttribute("aria-pressed", String(live));
  for (const button of document.querySelectorAll("[data-live-switch]")) {
    button.hidden = !livePart();
    showLive(button);
    button.addEventListener("click", () => {
      live = !live;
      remember(LIVE_KEY, live ? "on" : "off");
      showLive(button);
      startOrRest();
    });
  }
  document.addEventListener("visibilitychange", startOrRest);
  window.addEventListener("pagehide", hangUp);
  window.addEventListener("pageshow", startOrRest);
  document.addEventListener("htmx:beforeRequest", () => {
    isReading = true;
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    isReading = false;
    isStale ||= !event.detail.successful;
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    // Somebody came to it while it was on its way.
    if (event.target === livePart() && isAnyInUse()) {
      event.detail.shouldSwap = false;
      isStale = true;
    }
  });
  document.addEventListener("htmx:afterSwap", () => {
    if (!livePart()) {
      hangUp();
    }
  });
  setInterval(() => {
    if (isStale) {
      readAgain();
    }
  }, 1000);

  // Ages go on by themselves on live pages, by the server's clock.
  const STEPS = [
    [60, 1, "s"],
    [3600, 60, "min"],
    [86400, 3600, "h"],
    [Infinity, 86400, "d"],
  ];
  const spoken = (seconds) => {
    const size = Math.abs(seconds);
    if (size < 1) {
      return "just now";
    }
    const [, unit, name] = STEPS.find(([limit]) => size < limit);
    const words = `${Math.floor(size / unit)} ${name}`;
    return seconds > 0 ? `${words} ago` : `in ${words}`;
  };
  let ahead = 0;
  const compareClocks = () => {
    const part = livePart();
    if (part) {
      ahead = Date.now() - Number(part.dataset.now);
    }
  };
  compareClocks();
  document.addEventListener("htmx:afterSwap", compareClocks);
  setInterval(() => {
    const part = livePart();
    if (!part || !live || document.hidden || isInUse(part)) {
      return;
    }
    for (const time of part.querySelectorAll("time.age")) {
      const words = spoken((Date.now() - ahead - Date.parse(time.dateTime)) / 1000);
      if (time.textContent !== words) {
        time.textContent = words;
      }
    }
  }, 1000);

  // A filter that is chosen is applied.
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-filters]");
    if (form && event.target.matches("select")) {
      form.requestSubmit();
    }
  });

  // Filters that are not set stay out of the address.
  document.addEventListener("formdata", (event) => {
    if (event.target.matches("form[data-filters]")) {
      for (const [name, value] of [...event.formData]) {
        if (value === "") {
          event.formData.delete(name);
        }
      }
    }
  });

  // Rows that are chosen for a bulk action: counted, chosen all at once, and kept when the part is read again.
  const picks = () => [...document.querySelectorAll('input[name="key"][form="bulk"]')];
  let picked = new Set();
  const showPicks = () => {
    const boxes = picks();
    const number = boxes.filter((box) => box.checked).length;
    const bar = document.getElementById("bulk");
    if (bar) {
      bar.hidden = boxes.length === 0;
    }
    for (const count of document.querySelectorAll("[data-pick-count]")) {
      count.hidden = number === 0;
      count.textContent = number;
    }
    for (const whole of document.querySelectorAll("[data-pick-page]")) {
      whole.hidden = false;
      whole.checked = number > 0 && number === boxes.length;
      whole.indeterminate = number > 0 && number < boxes.length;
    }
  };
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-pick-page]")) {
      for (const box of picks()) {
        box.checked = event.target.checked;
      }
    } else if (!event.target.matches('input[name="key"][form="bulk"]')) {
      return;
    }
    const chosen = document.querySelector('#bulk input[name="scope"][value="chosen"]');
    if (chosen) {
      chosen.checked = true;
    }
    showPicks();
  });
  document.addEventListener("htmx:beforeSwap", () => {
    picked = new Set(
      picks()
        .filter((box) => box.checked)
        .map((box) => box.value),
    );
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const box of picks()) {
      box.checked = picked.has(box.value);
    }
    showPicks();
  });
  showPicks();
  window.addEventListener("pageshow", showPicks);

  // What can be copied is copied, where the browser lets pages do that.
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = !navigator.clipboard;
  }
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.querySelector("[data-copy-label]").textContent = "Copied";
    }
  });

  // Acts that cannot be taken back are asked for once more.
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) {
      event.preventDefault();
    }
  });
})();
