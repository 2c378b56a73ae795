// Sets the chosen theme before anything is painted. Shares its key with the set-up pages, so that one choice holds in both.
"use strict";
(() => {
  const KEY = "adminTheme";
  const CHOICES = ["auto", "light", "dark"];
  const root = document.documentElement;

  const stored = () => {
    try {
      const choice = JSON.parse(localStorage.getItem(KEY));
      return CHOICES.includes(choice) ? choice : "auto";
    } catch {
      return "auto"; // No storage (a private window) or somebody else's value.
    }
  };

  const apply = (choice) => {
    root.dataset.theme = choice;
  };

  root.classList.add("js");
  apply(stored());

  window.isthmusTheme = {
    current: () => root.dataset.theme,
    next: () => {
      const choice = CHOICES[(CHOICES.indexOf(root.dataset.theme) + 1) % CHOICES.length];
      apply(choice);
      try {
        localStorage.setItem(KEY, JSON.stringify(choice));
      } catch {
        // The choice holds for this page only.
      }
      return choice;
    },
  };
})();
