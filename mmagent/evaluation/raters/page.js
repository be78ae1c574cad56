"use strict";
// One pair at a time; votes are kept in this browser under the page's digest, and downloaded as JSON.

const page = document.body.dataset.page;
const pairs = [...document.querySelectorAll("[data-pair]")];
const end = document.getElementById("end");
const rater = document.getElementById("rater");
const state = restore();
let place = 0;

function restore() {
  try {
    const kept = JSON.parse(localStorage.getItem(`votes-${page}`));
    if (kept && typeof kept.votes === "object") return { rater: String(kept.rater ?? ""), votes: { ...kept.votes } };
  } catch {} // nothing kept, or storage is switched off: then votes last as long as the page is open
  return { rater: "", votes: {} };
}

function keep() {
  try {
    localStorage.setItem(`votes-${page}`, JSON.stringify(state));
  } catch {}
}

function show(next) {
  place = Math.max(0, Math.min(next, pairs.length));
  for (const player of document.querySelectorAll("audio, video")) player.pause();
  pairs.forEach((pair, number) => { pair.hidden = number !== place; });
  end.hidden = place !== pairs.length;
  for (const medium of pairs[place]?.querySelectorAll("[data-src]") ?? []) {
    medium.src = medium.dataset.src;
    delete medium.dataset.src;
  }
  for (const button of pairs[place]?.querySelectorAll("[data-vote]") ?? []) {
    button.setAttribute("aria-pressed", state.votes[pairs[place].dataset.pair] === button.dataset.vote);
  }
  const done = Object.keys(state.votes).length;
  document.getElementById("progress").value = done;
  document.getElementById("count").textContent = `${done} of ${pairs.length} judged`;
  scrollTo(0, 0);
}

function vote(choice) {
  if (place === pairs.length) return;
  state.votes[pairs[place].dataset.pair] = choice;
  keep();
  show(place + 1);
}

function download() {
  const file = new Blob([JSON.stringify({ page, ...state }, null, 1)], { type: "application/json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = `votes-${state.rater.replace(/[^\w-]+/g, "-") || page}.json`;
  link.click();
  URL.revokeObjectURL(link.href);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-vote]");
  if (button) vote(button.dataset.vote);
});
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input, audio, video")) return;
  const choice = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "equal" }[event.key];
  if (choice) vote(choice);
  else if (event.key === "ArrowUp") show(place - 1);
  else return;
  event.preventDefault();
});
document.getElementById("download").addEventListener("click", download);
rater.value = state.rater;
rater.addEventListener("input", () => { state.rater = rater.value; keep(); });

const open = pairs.findIndex((pair) => !(pair.dataset.pair in state.votes));
show(open < 0 ? pairs.length : open);
