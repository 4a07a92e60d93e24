// The keys of the console, in one list: what is here works, and is what ? shows.
import { go } from "./route.js";
import { pages } from "./pages.js";

const waiting = { g: false, timer: 0 };

export const SHORTCUTS = [
  ...pages.map(({ id, label, key }) => [["g", key], `Go to ${label}`]),
  [["?"], "Show the keys"],
  [["/"], "Go to the search field, or to the editor"],
  [["Ctrl", "Enter"], "SQL: run the statement (⌘ Enter on a Mac)"],
  [["Ctrl", "Space"], "SQL: complete what is being written"],
  [["Esc"], "SQL: leave the editor with Tab afterwards; in a dialog: close it"],
  [["←", "→", "↑", "↓"], "In a grid, a calendar or a table of runs: move; Home, End, Page Up and Page Down too"],
  [["Enter"], "In a grid: show the whole value; in a calendar: show the hour"],
];

const isWriting = (target) => target.closest?.("input, textarea, select, .editor, [contenteditable]") || target.shadowRoot;

export function listen(showKeys) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target) || document.querySelector("dialog[open]")) return;
    if (waiting.g) {
      waiting.g = false;
      const page = pages.find((each) => each.key === event.key);
      if (page) {
        event.preventDefault();
        go(page.id);
      }
    } else if (event.key === "g") {
      waiting.g = true;
      clearTimeout(waiting.timer);
      waiting.timer = setTimeout(() => (waiting.g = false), 1500);
    } else if (event.key === "?") {
      event.preventDefault();
      showKeys();
    } else if (event.key === "/") {
      const field = document.querySelector("[data-search]");
      if (field) {
        event.preventDefault();
        (field.shadowRoot?.querySelector("[contenteditable]") ?? field).focus();
      }
    }
  });
}
