"use strict";
// What the page does beyond links: thumbnails on references, one call lit everywhere at once, rows that open.

for (const chip of document.querySelectorAll("a.chip")) {
  const picture = document.querySelector(`${chip.getAttribute("href")} img`);
  if (!picture) continue;
  const thumbnail = document.createElement("img");
  thumbnail.src = picture.src;
  thumbnail.alt = "";
  chip.prepend(thumbnail);
}

function light(event) {
  const over = event.target.closest("[data-call]");
  for (const item of document.querySelectorAll(".lit")) item.classList.remove("lit");
  if (!over) return;
  for (const item of document.querySelectorAll("[data-call]")) {
    item.classList.toggle("lit", item.dataset.call === over.dataset.call);
  }
}
document.addEventListener("mouseover", light);
document.addEventListener("focusin", light);

function open() {
  const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (!target) return;
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  if (target.matches("tr")) for (const fold of target.querySelectorAll("details")) fold.open = true;
  target.scrollIntoView({ block: "nearest" });
}
window.addEventListener("hashchange", open);
open();
