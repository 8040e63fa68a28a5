(map, encoded) => {
  "use strict";
  // Base64 holds no character that HTML, JavaScript or a template engine would read: what a model wrote arrives as data,
  // and enters the page by textContent alone.
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  const data = JSON.parse(new TextDecoder().decode(bytes));

  const make = (tag, text, parent) => {
    const element = document.createElement(tag);
    if (text) element.textContent = text;
    if (parent) parent.append(element);
    return element;
  };
  const about = (tile, facts) => {
    const box = make("div");
    box.className = "geocc-about";
    make("p", tile.text, box).dir = "auto";
    for (const fact of facts) {
      make("small", fact, box).dir = "auto";
    }
    return box;
  };
  const control = (position, fill) => {
    const added = new L.Control(Object.assign(Object.create(null), { position }));
    added.onAdd = () => {
      const box = make("div");
      box.className = "geocc-control";
      L.DomEvent.disableClickPropagation(box);
      L.DomEvent.disableScrollPropagation(box);
      fill(box);
      return box;
    };
    return added.addTo(map);
  };

  const styles = data.styles;
  const tiles = L.layerGroup();
  const renderer = L.canvas(Object.assign(Object.create(null), { padding: 0.3 }));
  for (const tile of data.tiles) {
    const style = Object.assign(Object.create(null), styles[tile.kind], { renderer });
    if (tile.color) {
      style.color = tile.color;
      style.fillColor = tile.color;
    }
    const shape = L.polygon(tile.shape, style);
    shape.bindTooltip(() => about(tile, tile.facts.slice(0, 1)), Object.assign(Object.create(null), { sticky: true, className: "geocc-tip" }));
    shape.bindPopup(() => about(tile, tile.facts), Object.assign(Object.create(null), { maxWidth: 340 }));
    shape.on("popupopen", () => shape.closeTooltip().setStyle(styles.chosen));
    shape.on("popupclose", () => shape.setStyle(style));
    tiles.addLayer(shape);
  }
  const groups = Object.create(null);
  if (data.images) {
    map.createPane("geocc-images").style.zIndex = 300;
    const place = Object.assign(Object.create(null), { pane: "geocc-images", interactive: false });
    const [before, after] = data.images.uris.map((uri) => L.imageOverlay(uri, data.images.bounds, place));
    groups.Images = L.layerGroup([before, after]).addTo(map);
    control("topright", (box) => {
      const label = make("label", "", box);
      make("span", data.dates[0] || "Before", label);
      const slider = make("input", "", label);
      slider.type = "range";
      slider.min = 0;
      slider.max = 100;
      slider.value = 100;
      slider.setAttribute("aria-label", "Blend from the earlier to the later date");
      slider.addEventListener("input", () => after.setOpacity(slider.value / 100));
      make("span", data.dates[1] || "After", label);
    });
  }
  groups.Tiles = tiles.addTo(map);
  if (data.outlines) {
    // Seen, not touched: what is clicked is the tile.
    const line = Object.assign(Object.create(null), styles.outline, { renderer, interactive: false });
    groups.Outlines = L.layerGroup(data.outlines.map((shape) => L.polygon(shape, line))).addTo(map);
  }
  L.control.layers(null, groups, Object.assign(Object.create(null), { collapsed: false })).addTo(map);
  control("bottomleft", (box) => {
    box.classList.add("geocc-legend");
    make("b", "Change probability", box);
    const ramp = make("div", "", box);
    ramp.className = "geocc-ramp";
    ramp.style.background = `linear-gradient(to right, ${data.ramp.join(", ")})`;
    const ends = make("div", "", box);
    ends.className = "geocc-ends";
    make("span", "0", ends);
    make("span", "1", ends);
    for (const line of data.counts) make("div", line, box);
  });
  if (data.bounds) map.fitBounds(data.bounds, Object.assign(Object.create(null), { padding: [24, 24] }));
}
