// The set-up pages' quick find: the sidebar shows what the typed words stand in; arrows and Enter lead there.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const box = document.querySelector("[data-quick-find]");
  const sidebar = document.getElementById("nav-sidebar-apps");
  if (!box || !sidebar) {
    return;
  }
  const input = box.querySelector("input");
  const status = box.querySelector("[data-quick-find-status]");
  box.hidden = false;

  const groups = [...sidebar.querySelectorAll("ol")].map((list) => {
    const group = list.parentElement;
    const heading = group.querySelector("h2");
    const items = [...list.querySelectorAll("li")].map((item) => ({
      item,
      link: item.querySelector("a"),
      text: `${heading ? heading.textContent : ""} ${item.querySelector("a > span:last-of-type").textContent}`.toLowerCase(),
    }));
    return { group, items };
  });
  const links = () =>
    groups.flatMap(({ items }) => items.filter(({ item }) => !item.hidden && item.offsetParent).map(({ link }) => link));

  const filter = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const { group, items } of groups) {
      let shown = 0;
      for (const { item, text } of items) {
        item.hidden = !words.every((word) => text.includes(word));
        shown += item.hidden ? 0 : 1;
      }
      group.hidden = shown === 0;
      found += shown;
    }
    status.textContent = words.length === 0 ? "" : found === 0 ? "Nothing is called so." : `${found} found`;
    status.classList.toggle("is-told", words.length > 0 && found === 0);
  };
  input.addEventListener("input", filter);
  // A browser may bring the text of an earlier visit back.
  filter();

  const step = (by) => {
    const all = links();
    const at = all.indexOf(document.activeElement);
    const next = at + by;
    if (at >= 0 && next < 0) {
      input.focus();
    } else if (all.length > 0) {
      all[Math.min(Math.max(next, 0), all.length - 1)].focus();
    }
  };
  box.parentElement.addEventListener("keydown", (event) => {
    const isHere = event.target === input || (sidebar.contains(event.target) && event.target.matches("a"));
    if (!isHere) {
      return;
    }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      step(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Enter" && event.target === input) {
      event.preventDefault();
      if (input.value.trim() && links().length > 0) {
        links()[0].click();
      }
    } else if (event.key === "Escape") {
      event.preventDefault();
      input.value = "";
      filter();
      input.focus();
    }
  });
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      input.focus();
      input.select();
    }
  });
});
