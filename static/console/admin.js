// Gives names to what the theme leaves without one: fields in tables of rows, and boxes that stand for a select.
"use strict";
(() => {
  const columnOf = (field) => {
    const cell = field.closest("td");
    const head = cell?.closest("table")?.tHead?.rows[0];
    return head?.cells[cell.cellIndex]?.textContent.trim().replace(/\s+/g, " ");
  };
  const nameFields = () => {
    // The row that later ones are copied from is among them.
    for (const field of document.querySelectorAll("td :is(input:not([type=hidden]), select, textarea)")) {
      const name = columnOf(field);
      if (name && !field.labels.length && !field.ariaLabel) {
        field.ariaLabel = name;
      }
    }
    for (const box of document.querySelectorAll(".select2-container")) {
      const select = box.previousElementSibling;
      const name = select?.labels?.[0]?.textContent.trim() || select?.ariaLabel;
      for (const part of box.querySelectorAll(".select2-selection, .select2-selection__rendered")) {
        part.ariaLabel = name || "Choice";
      }
    }
    for (const head of document.querySelectorAll("thead th")) {
      if (!head.textContent.trim() && !head.ariaLabel) {
        head.ariaLabel = "Acts";
      }
    }
  };
  window.addEventListener("load", () => {
    nameFields();
    // Rows and boxes come later, too.
    new MutationObserver(nameFields).observe(document.body, { childList: true, subtree: true });
  });
})();
