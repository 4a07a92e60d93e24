// Light and dark: as the system has it, until somebody chooses.
import { signal } from "@preact/signals";

const KEPT = "dw-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
export const CHOICES = ["auto", "light", "dark"];

const kept = localStorage.getItem(KEPT);
export const chosen = signal(CHOICES.includes(kept) ? kept : "auto");
/** Counts changes of what is shown, so that what is drawn on a canvas is drawn again. */
export const shown = signal(0);

function apply() {
  const root = document.documentElement;
  if (chosen.value === "auto") delete root.dataset.theme;
  else root.dataset.theme = chosen.value;
  shown.value += 1;
}

export function choose(name) {
  chosen.value = name;
  localStorage.setItem(KEPT, name);
  apply();
}
system.addEventListener("change", apply);
apply();

export const isDark = () => (chosen.value === "auto" ? system.matches : chosen.value === "dark");

/** The colour that a name of style.css has now, as a canvas takes it. */
export function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
