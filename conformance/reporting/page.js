"use strict";
const form = document.getElementById("filter");
const parts = [...document.querySelectorAll("[data-outcome]")];
const blocks = [...document.querySelectorAll("details.failure")];
const shown = document.getElementById("shown");
const none = document.getElementById("none");
const toggle = document.getElementById("toggle");
function filter() {
  const outcomes = new Set([...form.querySelectorAll("input[type=checkbox]:checked")].map((box) => box.value));
  const words = form.words.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
  let count = 0;
  let all = 0;
  for (const part of parts) {
    const text = part.dataset.words.toLowerCase();
    const has = part.dataset.outcome.split(" ").some((outcome) => outcomes.has(outcome));
    part.hidden = !(has && words.every((word) => text.includes(word)));
    if (part.tagName !== "TR") continue;
    all += 1;
    count += !part.hidden;
  }
  shown.textContent = count === all ? `all ${all} checks` : `${count} of ${all} checks`;
  none.hidden = count > 0;
}
function open() {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
}
function turn() {
  const closed = blocks.some((block) => !block.open);
  for (const block of blocks) block.open = closed;
  name();
}
function name() {
  toggle.textContent = blocks.some((block) => !block.open) ? "open all" : "close all";
}
form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", open);
if (toggle) {
  toggle.addEventListener("click", turn);
  for (const block of blocks) block.addEventListener("toggle", name);
}
form.hidden = false;
filter();
open();
