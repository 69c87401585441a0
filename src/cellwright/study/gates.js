// Maps of what cells did, from 8-bit codes in the page. Colours are opacities over the page's own
// background, so a map is right in light, in dark and in print without being drawn again.
for (const root of document.querySelectorAll(".gates")) {
  const LEVELS = 254, UNKNOWN = 255;
  const ABOVE = [226, 100, 14], BELOW = [24, 116, 205], LOST = [128, 128, 128];
  const steps = Number(root.dataset.steps), now = JSON.parse(root.dataset.now);
  const slider = root.querySelector("input[type=range]"), said = root.querySelector(".gates-bar output");
  const play = root.querySelector(".gates-play"), tip = root.querySelector(".gates-tip");
  let timer = 0;

  const maps = [...root.querySelectorAll("canvas")].map((canvas) => {
    const { low, high, values, name, names } = canvas.dataset;
    const map = {
      canvas, name, low: Number(low), high: Number(high), units: canvas.height, names: names && JSON.parse(names),
      codes: Uint8Array.from(atob(values), (c) => c.charCodeAt(0)),
      row: canvas.closest(".gates-row"), cell: canvas.closest(".gates-cell"), picked: null,
    };
    paint(map);
    return map;
  });

  function paint({ canvas, codes, low, high }) {
    const image = new ImageData(canvas.width, canvas.height);
    codes.forEach((code, i) => {
      const value = low + (code / LEVELS) * (high - low);
      const colour = code === UNKNOWN ? LOST : value < 0 ? BELOW : ABOVE;
      const opacity = code === UNKNOWN ? 1 : Math.abs(value) / high;
      image.data.set([...colour, Math.round(255 * opacity)], 4 * i);
    });
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  function text(map, unit, step) {
    const code = map.codes[unit * steps + step];
    if (code === UNKNOWN) return "not finite";
    const wide = map.high - map.low;
    const places = Math.max(0, 2 - Math.floor(Math.log10(wide)));
    return (map.low + (code / LEVELS) * wide).toFixed(places).replace("-", "−");
  }

  function show(step, reading) {
    root.style.setProperty("--at", step);
    root.style.setProperty("--shown", 1);
    root.classList.toggle("reading", reading);
    slider.value = step + 1;
    said.textContent = `${step + 1} of ${steps}${now[step] && ": " + now[step]}`;
    for (const map of maps) if (map.picked !== null) {
      map.row.querySelector("output").textContent = text(map, map.picked, step);
    }
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  }

  function pick(cell, unit) {
    cell.querySelector("input").value = unit === null ? "" : unit + 1;
    for (const map of maps) {
      if (map.cell !== cell) continue;
      map.picked = unit !== null && (map.units === 1 || unit < map.units) ? Math.min(unit, map.units - 1) : null;
      map.row.classList.toggle("picked", map.picked !== null);
      map.row.querySelector("output").textContent = "";
      if (map.picked === null) continue;
      const mark = map.row.querySelector(".gates-unit");
      mark.style.height = `${map.canvas.clientHeight / map.units}px`;
      mark.style.top = `${(map.canvas.clientHeight * map.picked) / map.units}px`;
      const codes = map.codes.subarray(map.picked * steps, (map.picked + 1) * steps);
      const points = [...codes].map((code, t) => code === UNKNOWN ? "" : `${t + 0.5},${(1 - code / LEVELS).toFixed(3)}`);
      map.row.querySelector("polyline").setAttribute("points", points.join(" "));
      if (root.style.getPropertyValue("--shown")) map.row.querySelector("output").textContent = text(map, map.picked, slider.value - 1);
    }
  }

  function place(map, event) {
    const box = map.canvas.getBoundingClientRect();
    const at = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
    return [at((event.clientY - box.top) / box.height, map.units), at((event.clientX - box.left) / box.width, steps)];
  }

  function hover(map, event) {
    const [unit, step] = place(map, event);
    if (!timer) show(step, false);
    const which = map.names ? map.names[unit] : `${map.name}, unit ${unit + 1}`;
    tip.textContent = `${which}, step ${step + 1}\n${text(map, unit, step)}`;
    tip.style.display = "block";
    const beside = event.clientX + 14 + tip.offsetWidth > innerWidth ? event.clientX - 14 - tip.offsetWidth : event.clientX + 14;
    tip.style.left = `${Math.max(4, beside)}px`;
    tip.style.top = `${Math.max(4, event.clientY - tip.offsetHeight - 12)}px`;
  }

  for (const map of maps) {
    map.canvas.addEventListener("pointermove", (event) => hover(map, event));
    map.canvas.addEventListener("pointerleave", () => { tip.style.display = "none"; });
    if (map.cell) map.canvas.addEventListener("click", (event) => {
      const [unit] = place(map, event), before = map.canvas.getBoundingClientRect().top;
      hover(map, event);
      pick(map.cell, unit === map.picked ? null : unit);
      // Lines have appeared above: the map stays below the pointer.
      scrollBy({ top: map.canvas.getBoundingClientRect().top - before, behavior: "instant" });
    });
  }
  for (const cell of root.querySelectorAll(".gates-cell")) {
    cell.querySelector("input").addEventListener("input", (event) => {
      const unit = event.target.valueAsNumber;
      pick(cell, unit >= 1 ? Math.min(unit, event.target.max) - 1 : null);
    });
  }
  slider.addEventListener("input", () => { stop(); show(slider.value - 1, true); });
  play.addEventListener("click", () => {
    if (timer) return stop();
    let step = Number(slider.value) >= steps ? 0 : Number(slider.value) - 1;
    play.textContent = "Pause";
    show(step, true);
    timer = setInterval(() => {
      step += 1;
      if (step < steps) return show(step, true);
      stop();
      root.classList.remove("reading");
    }, 150);
  });
}
