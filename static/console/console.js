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

  // Live parts stand still while paused, hidden, being used or being read aloud from a selection.
  let live = remembered(LIVE_KEY) !== "off";
  const showLive = (button) => button.setAttribute("aria-pressed", String(live));
  for (const button of document.querySelectorAll("[data-live-switch]")) {
    button.hidden = !document.querySelector("[data-live]");
    showLive(button);
    button.addEventListener("click", () => {
      live = !live;
      remember(LIVE_KEY, live ? "on" : "off");
      showLive(button);
    });
  }
  const isInUse = (part) => {
    const focused = document.activeElement;
    const selection = document.getSelection();
    return (
      (focused && focused !== document.body && part.contains(focused)) ||
      (selection && !selection.isCollapsed && part.contains(selection.anchorNode))
    );
  };
  document.addEventListener("htmx:beforeRequest", (event) => {
    const part = event.target.closest("[data-live]");
    if (part && (!live || document.hidden || isInUse(part))) {
      event.preventDefault();
    }
  });

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
