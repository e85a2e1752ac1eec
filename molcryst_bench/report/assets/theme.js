// Light or dark as the system has it, or as the reader chooses. Runs before the page is drawn.
"use strict";

(() => {
  const THEMES = ["system", "light", "dark"];
  const MEDIA = { system: "(prefers-color-scheme: dark)", light: "not all", dark: "all" };

  // A browser may refuse to remember anything for a page in a folder.
  function remembered() {
    try {
      const theme = localStorage.getItem("theme");
      return THEMES.includes(theme) ? theme : "system";
    } catch {
      return "system";
    }
  }

  function remember(theme) {
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // The choice holds for this page alone.
    }
  }

  function apply(theme) {
    document.documentElement.dataset.theme = theme;
    for (const source of document.querySelectorAll("picture source")) source.media = MEDIA[theme];
  }

  let theme = remembered();
  apply(theme);
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const show = () => {
      apply(theme);
      button.textContent = `Theme: ${theme}`;
    };
    button.addEventListener("click", () => {
      theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
      remember(theme);
      show();
    });
    button.hidden = false;
    show();
  });
})();
