"use strict";
(() => {
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const maps = all(".stage svg[data-map]");
  const paths = new Map();
  for (const path of all(".stage path[data-tile]")) {
    const key = path.dataset.tile;
    paths.set(key, [...(paths.get(key) || []), path]);
  }
  const items = new Map(all(".captions li").map((item) => [item.dataset.tile, item]));
  const tip = document.querySelector(".tip");
  const section = document.querySelector(".maps");

  // The whole scene, and the part of it that all maps show.
  const [, , sceneWidth, sceneHeight] = maps[0].getAttribute("viewBox").split(" ").map(Number);
  let view = { x: 0, y: 0, width: sceneWidth };

  const show = (wanted) => {
    const width = Math.min(sceneWidth, Math.max(sceneWidth / 64, wanted.width));
    const height = (width * sceneHeight) / sceneWidth;
    const x = Math.min(Math.max(0, wanted.x), sceneWidth - width);
    const y = Math.min(Math.max(0, wanted.y), sceneHeight - height);
    view = { x, y, width };
    for (const map of maps) map.setAttribute("viewBox", [x, y, width, height].join(" "));
  };
  const zoom = (factor, at) => {
    if (factor === 0) return show({ x: 0, y: 0, width: sceneWidth });
    const width = Math.min(sceneWidth, Math.max(sceneWidth / 64, view.width * factor));
    const share = width / view.width;
    show({ x: at.x - (at.x - view.x) * share, y: at.y - (at.y - view.y) * share, width });
  };
  const middle = () => ({ x: view.x + view.width / 2, y: view.y + (view.width * sceneHeight) / sceneWidth / 2 });
  const place = (map, event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());

  let chosen = null;
  const choose = (key) => {
    for (const marked of all(".on")) marked.classList.remove("on");
    chosen = key;
    for (const path of paths.get(key) || []) {
      path.classList.add("on");
      path.parentNode.append(path);
    }
    const item = items.get(key);
    if (item) item.classList.add("on");
    return item;
  };
  const reveal = (key) => {
    const [path] = paths.get(key) || [];
    if (!path) return;
    const box = path.getBBox();
    const height = (view.width * sceneHeight) / sceneWidth;
    const inside = box.x >= view.x && box.y >= view.y && box.x + box.width <= view.x + view.width && box.y + box.height <= view.y + height;
    if (!inside) show({ x: box.x + box.width / 2 - view.width / 2, y: box.y + box.height / 2 - height / 2, width: view.width });
  };

  for (const map of maps) {
    let drag = null;
    map.addEventListener("pointerdown", (event) => {
      if (event.button === 0) drag = { at: place(map, event), x: event.clientX, y: event.clientY, moved: false };
    });
    map.addEventListener("pointermove", (event) => {
      if (drag) {
        if (Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > 4) drag.moved = true;
        const now = place(map, event);
        if (drag.moved) show({ x: view.x + drag.at.x - now.x, y: view.y + drag.at.y - now.y, width: view.width });
      }
      const item = items.get(event.target.dataset.tile);
      tip.hidden = !item || Boolean(drag && drag.moved);
      if (tip.hidden) return;
      tip.textContent = item.querySelector("p").textContent;
      tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
      tip.style.top = `${Math.min(event.clientY + 16, innerHeight - tip.offsetHeight - 8)}px`;
    });
    map.addEventListener("pointerleave", () => { tip.hidden = true; drag = null; });
    map.addEventListener("pointerup", (event) => {
      const key = event.target.dataset.tile;
      if (drag && !drag.moved && key) {
        const item = choose(key);
        if (item) {
          item.hidden = false;
          item.closest("details").open = true;
          item.scrollIntoView({ block: "nearest", behavior: "smooth" });
        }
      }
      drag = null;
    });
    map.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(Math.exp(event.deltaY / 300), place(map, event));
    }, { passive: false });
  }
  for (const item of items.values()) {
    const pick = () => { choose(item.dataset.tile); reveal(item.dataset.tile); };
    item.addEventListener("click", pick);
    item.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      pick();
    });
  }
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && chosen) choose(null); });
  for (const button of all("[data-zoom]")) button.addEventListener("click", () => zoom(Number(button.dataset.zoom), middle()));
  for (const button of all("[data-view]")) {
    button.addEventListener("click", () => {
      section.classList.toggle("swipe", button.dataset.view === "swipe");
      for (const other of all("[data-view]")) other.setAttribute("aria-pressed", String(other === button));
    });
  }
  const slider = document.querySelector(".cut input");
  slider.addEventListener("input", () => section.style.setProperty("--cut", `${slider.value}%`));
  document.getElementById("outlines").addEventListener("change", (event) => section.classList.toggle("plain", !event.target.checked));
  document.querySelector(".find input").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const item of items.values()) {
      const text = item.textContent.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
    }
  });
})();
