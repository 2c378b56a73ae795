// The Record explorer: completion, history, adding fields, filtering lists. Without it the page is a plain form.
"use strict";
(() => {
  const page = document.querySelector("[data-explorer]");
  const editor = document.getElementById("soql");
  if (!page || !editor) {
    return;
  }
  const form = editor.form;

  const showControls = (root) => {
    for (const control of root.querySelectorAll("[data-needs-script]")) {
      control.hidden = false;
    }
  };
  showControls(document);

  // What is known of the objects.
  const objects = [...document.querySelectorAll("[data-object]")].map((link) => ({ name: link.dataset.object, label: link.dataset.label }));
  const loaded = new Map();
  const load = (name) => {
    const known = objects.find((one) => one.name.toLowerCase() === (name ?? "").toLowerCase());
    if (!known) {
      return Promise.resolve(null);
    }
    if (!loaded.has(known.name)) {
      const address = page.dataset.fieldsUrl.replace("OBJECT", encodeURIComponent(known.name));
      const asked = fetch(address, { headers: { Accept: "application/json" } })
        .then((answer) => (answer.ok ? answer.json() : null))
        .catch(() => null)
        .then((found) => {
          if (!found) {
            loaded.delete(known.name); // Asked again next time: the network may be back.
          }
          return found;
        });
      loaded.set(known.name, asked);
    }
    return loaded.get(known.name);
  };
  const chosen = () => document.getElementById("object")?.dataset.chosen ?? "";

  // Writing into the editor keeps the browser's undo where the browser offers a way.
  const write = (start, end, text) => {
    editor.focus();
    editor.setSelectionRange(start, end);
    if (!document.execCommand("insertText", false, text)) {
      editor.setRangeText(text, start, end, "end");
    }
  };

  // Suggestions. HTML allows no role of combobox on a text of several lines; the attributes are those of the pattern.
  const list = document.getElementById("suggestions");
  const status = document.querySelector("[data-suggestion-status]");
  let shown = { start: 0, end: 0, items: [] };
  let active = -1;
  let round = 0;
  editor.setAttribute("aria-autocomplete", "list");
  editor.setAttribute("aria-haspopup", "listbox");
  editor.setAttribute("aria-controls", list.id);

  const close = () => {
    round++;
    list.hidden = true;
    list.replaceChildren();
    active = -1;
    shown = { start: 0, end: 0, items: [] };
    editor.removeAttribute("aria-activedescendant");
    status.textContent = "";
  };

  const setActive = (index) => {
    list.children[active]?.setAttribute("aria-selected", "false");
    active = index;
    const option = list.children[active];
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    editor.setAttribute("aria-activedescendant", option.id);
  };

  // Where a character of the editor is on the page: a copy of the text with the same measures.
  const mirror = document.createElement("div");
  mirror.className = "soql-mirror";
  mirror.setAttribute("aria-hidden", "true");
  list.before(mirror);
  const place = (offset) => {
    const mark = document.createElement("span");
    mark.textContent = "\u200b";
    mirror.replaceChildren(editor.value.slice(0, offset), mark);
    const found = { left: mark.offsetLeft, bottom: mark.offsetTop + mark.offsetHeight - editor.scrollTop };
    mirror.replaceChildren();
    return found;
  };

  const show = (found) => {
    shown = found;
    list.replaceChildren(
      ...found.items.map((item, index) => {
        const option = document.createElement("li");
        option.id = `suggestion-${index}`;
        option.setAttribute("role", "option");
        option.setAttribute("aria-selected", "false");
        const name = document.createElement("span");
        name.className = "suggested";
        name.textContent = item.name;
        const detail = document.createElement("span");
        detail.className = "suggested-detail";
        detail.textContent = item.detail;
        option.append(name, detail);
        return option;
      }),
    );
    list.hidden = false;
    const { left, bottom } = place(found.start);
    list.style.insetBlockStart = `${Math.min(bottom + 4, editor.offsetHeight)}px`;
    list.style.insetInlineStart = `${Math.max(0, Math.min(left, editor.offsetWidth - list.offsetWidth))}px`;
    setActive(0);
    const count = found.items.length;
    status.textContent = `${count} ${count === 1 ? "suggestion" : "suggestions"}, arrow keys choose, Enter takes, Escape closes`;
  };

  const suggest = async () => {
    const mine = ++round;
    const caret = editor.selectionStart;
    if (caret !== editor.selectionEnd) {
      close();
      return;
    }
    const found = await window.isthmusSoql.complete(editor.value, caret, { objects, load, fallback: chosen() });
    if (mine !== round || document.activeElement !== editor) {
      return; // Somebody typed on, or left.
    }
    if (found.items.length) {
      show(found);
    } else {
      close();
    }
  };

  const take = (index) => {
    const item = shown.items[index];
    const { start, end } = shown;
    close();
    // A blank that is there already serves.
    const spare = item.insert.endsWith(" ") && editor.value[end] === " ";
    write(start, end, spare ? item.insert.slice(0, -1) : item.insert);
    if (spare) {
      editor.setSelectionRange(editor.selectionEnd + 1, editor.selectionEnd + 1);
    }
    if (item.again) {
      suggest();
    } else {
      close();
    }
  };

  let taking = false;
  editor.addEventListener("input", () => {
    if (!taking) {
      const typed = editor.value[editor.selectionStart - 1] ?? "";
      if (/[\w.(',]/.test(typed) || !list.hidden) {
        suggest();
      }
    }
  });
  const takeQuietly = (index) => {
    taking = true;
    try {
      take(index);
    } finally {
      taking = false;
    }
  };

  editor.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      close();
      form.requestSubmit();
      return;
    }
    if (event.key === " " && event.ctrlKey) {
      event.preventDefault();
      suggest();
      return;
    }
    if (list.hidden || event.isComposing || event.altKey || event.ctrlKey || event.metaKey) {
      return;
    }
    const count = shown.items.length;
    const moves = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: Math.min(active + 8, count - 1), PageUp: Math.max(active - 8, 0) };
    if (event.key in moves) {
      event.preventDefault();
      setActive((moves[event.key] + count) % count);
    } else if ((event.key === "Enter" || event.key === "Tab") && !event.shiftKey) {
      event.preventDefault();
      takeQuietly(active);
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      close();
    } else if (["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) {
      close();
    }
  });
  editor.addEventListener("blur", close);
  editor.addEventListener("pointerdown", close);
  editor.addEventListener("scroll", close);
  // The editor keeps the focus, so that a finger's keyboard stays.
  list.addEventListener("pointerdown", (event) => event.preventDefault());
  list.addEventListener("mousedown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role='option']");
    if (option) {
      takeQuietly([...list.children].indexOf(option));
    }
  });
  document.querySelector("[data-suggest]").addEventListener("click", () => {
    editor.focus();
    suggest();
  });

  // A field that is pressed goes to the end of what the query selects.
  const withoutInner = (text) => {
    const blank = (found) => " ".repeat(found.length);
    let outline = text.replace(/'(?:\\[\s\S]|[^'\\])*'?/g, blank);
    for (let level = 0; level < 12; level++) {
      const next = outline.replace(/\([^()]*\)/g, blank);
      if (next === outline) {
        break;
      }
      outline = next;
    }
    return outline;
  };
  const addField = (field, ofObject) => {
    const text = editor.value;
    if (!text.trim()) {
      write(0, text.length, `SELECT ${field === "Id" ? field : `Id, ${field}`} FROM ${ofObject}`);
      return;
    }
    const outline = withoutInner(text);
    const begins = /^\s*SELECT\b/i.exec(outline);
    const ends = /\bFROM\b(?:\s+(\w+))?/i.exec(outline);
    if (!begins || !ends || (ends[1] ?? "").toLowerCase() !== ofObject.toLowerCase()) {
      write(editor.selectionStart, editor.selectionEnd, field); // Another object's, or no query yet: where the caret is.
      return;
    }
    const listed = outline.slice(begins[0].length, ends.index);
    if (listed.split(",").some((name) => name.trim().toLowerCase() === field.toLowerCase())) {
      editor.focus();
      return;
    }
    const at = text.slice(0, ends.index).trimEnd().length;
    const isFirst = !text.slice(begins[0].length, at).trim();
    const joint = isFirst ? " " : text[at - 1] === "," ? " " : ", ";
    write(at, at, `${joint}${field}`);
  };
  page.addEventListener("click", (event) => {
    const button = event.target.closest("[data-field]");
    if (button) {
      event.preventDefault();
      taking = true;
      addField(button.dataset.field, button.dataset.of);
      taking = false;
      button.focus({ preventScroll: true });
      status.textContent = `${button.dataset.field} added to the query`;
    }
  });

  // Another object: its part of the page is read anew, what is written stays.
  page.addEventListener("click", (event) => {
    const link = event.target.closest("[data-object-link]");
    const entry = link && document.querySelector(`[data-object="${CSS.escape(link.dataset.objectLink)}"]`);
    if (entry && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      entry.click();
    }
  });
  document.addEventListener("htmx:afterSettle", () => {
    const part = document.getElementById("object");
    showControls(part);
    for (const link of document.querySelectorAll("[data-object]")) {
      if (link.dataset.object === part.dataset.chosen) {
        link.setAttribute("aria-current", "true");
        link.scrollIntoView({ block: "nearest" });
      } else {
        link.removeAttribute("aria-current");
      }
    }
    status.textContent = `${part.querySelector("h2").textContent}: fields shown`;
  });

  // Lists that are filtered as one types.
  page.addEventListener("input", (event) => {
    const id = event.target.dataset.filterList;
    if (id) {
      const wanted = event.target.value.trim().toLowerCase();
      for (const entry of document.querySelectorAll(`#${id} > li`)) {
        entry.hidden = !entry.dataset.filterText.toLowerCase().includes(wanted);
      }
    }
  });

  // The place of a mistake.
  const offset = editor.dataset.problemOffset;
  document.querySelector("[data-go-to-problem]")?.addEventListener("click", () => {
    const at = Number(offset);
    const ends = window.isthmusSoql.tokens(editor.value).find((token) => token.start === at)?.end ?? at;
    editor.focus();
    editor.setSelectionRange(at, ends);
  });

  // The last queries, kept in this browser for this user.
  const HISTORY_KEY = `isthmusQueries:${page.dataset.user}`;
  const HISTORY_LENGTH = 20;
  const history = () => {
    try {
      const found = JSON.parse(localStorage.getItem(HISTORY_KEY));
      return Array.isArray(found) ? found.filter((text) => typeof text === "string").slice(0, HISTORY_LENGTH) : [];
    } catch {
      return []; // No storage, or somebody else's value.
    }
  };
  const keep = (texts) => {
    try {
      localStorage.setItem(HISTORY_KEY, JSON.stringify(texts));
    } catch {
      // Without storage there is no history.
    }
  };
  const showHistory = () => {
    const entries = history().map((text) => {
      const entry = document.createElement("li");
      const link = document.createElement("a");
      link.href = `${form.getAttribute("action")}?${new URLSearchParams({ q: text })}`;
      link.textContent = text;
      entry.append(link);
      return entry;
    });
    document.querySelector("[data-history-list]").replaceChildren(...entries);
    document.querySelector("[data-history]").hidden = !entries.length;
  };
  // A query is kept when it found something to say, not when it was mistyped.
  const asked = editor.value.trim();
  if (asked && document.querySelector("[data-result]")) {
    keep([asked, ...history().filter((text) => text !== asked)].slice(0, HISTORY_LENGTH));
  }
  showHistory();
  document.querySelector("[data-history-clear]").addEventListener("click", () => {
    keep([]);
    showHistory();
    editor.focus();
  });
})();
