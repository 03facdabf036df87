/** Light or dark: as the system has it, until somebody presses the button. */

const KEY = "gyoza-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const chosen = () => localStorage.getItem(KEY);
const isDark = () => (chosen() ?? (system.matches ? "dark" : "light")) === "dark";

/** Show the theme, and tell those who draw with its colors. */
function show() {
  if (chosen()) document.documentElement.dataset.theme = chosen();
  const button = document.getElementById("theme");
  if (button) {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `${button.textContent} theme`);
  }
  dispatchEvent(new Event("theme"));
}

show();
system.addEventListener("change", show);
addEventListener("DOMContentLoaded", () => {
  show();
  document.getElementById("theme").addEventListener("click", () => {
    localStorage.setItem(KEY, isDark() ? "light" : "dark");
    show();
  });
});
