"use strict";

// A network's construction step by step: the way so far, and how likely it found what could come next.
{
  const shown = JSON.parse(document.getElementById("shown").textContent);
  const map = shown.points === null ? null : new RouteMap(document.querySelector("svg.map"), shown, document.getElementById("pointed"));
  const slider = document.getElementById("step");
  const play = document.getElementById("play");
  const said = document.getElementById("said");
  const rows = document.getElementById("candidates");
  const PLAY_SECONDS = 12;
  const WIDEST = 9;
  let timer = null;

  function percent(part) {
    return `${(100 * part).toFixed(1)} %`;
  }

  function show(place) {
    const { at, chosen, probabilities } = shown.steps[place];
    const ordered = [...probabilities].sort(([, a], [, b]) => b - a);
    const likely = ordered.find(([location]) => location === chosen);
    said.textContent = `Step ${Number(place) + 1} of ${shown.steps.length}: from ${at} to ${chosen}${likely ? `, with ${percent(likely[1])}` : ""}.`;
    slider.setAttribute("aria-valuetext", said.textContent);
    rows.replaceChildren();
    for (const [location, part] of ordered) {
      const row = rows.insertRow();
      row.insertCell().textContent = location;
      row.insertCell().textContent = percent(part);
      const bar = Object.assign(row.insertCell(), { className: "text" });
      const drawn = put(bar, "svg", { width: 100, height: 10, "aria-hidden": "true", class: "bar" });
      put(drawn, "rect", { width: Math.max(1, 100 * part), height: 10 });
      Object.assign(row.insertCell(), { className: "text", textContent: location === chosen ? "chosen" : "" });
    }
    if (map) {
      const way = shown.steps.slice(0, place).map(step => map.line(step.at, step.chosen));
      map.set([
        { d: way.join(""), class: "edges visited" },
        ...ordered.map(([location, part]) => ({
          d: map.line(at, location),
          class: `edges candidate${location === chosen ? " chosen" : ""}`,
          "stroke-width": Math.max(1, WIDEST * part),
        })),
      ], []);
    }
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }

  function start() {
    if (slider.value === slider.max) slider.value = 0;
    play.textContent = "Pause";
    show(slider.value);
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      show(slider.value);
      if (slider.value === slider.max) stop();
    }, Math.max(120, 1000 * PLAY_SECONDS / shown.steps.length));
  }

  slider.addEventListener("input", () => { stop(); show(slider.value); });
  play.addEventListener("click", () => (timer === null ? start() : stop()));
  if (shown.steps.length) show(0);
}
