"use strict";
const form = document.getElementById("filter");
const rows = [...document.querySelectorAll("[data-outcome]")];
const shown = document.getElementById("shown");
function filter() {
  const outcomes = new Set([...form.querySelectorAll("input[type=checkbox]:checked")].map((box) => box.value));
  const words = form.words.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of rows) {
    const text = row.dataset.words.toLowerCase();
    row.hidden = !(outcomes.has(row.dataset.outcome) && words.every((word) => text.includes(word)));
    count += !row.hidden && row.tagName === "TR";
  }
  shown.textContent = `${count} shown`;
}
function open() {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
}
form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", open);
form.hidden = false;
filter();
open();
