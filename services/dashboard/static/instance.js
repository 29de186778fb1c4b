"use strict";

// An instance: the routes of one solver or two on its map, and how they came about.
{
  const shown = JSON.parse(document.getElementById("shown").textContent);
  const sides = shown.runs.map(run => ({ ...run, incumbents: [] }));
  const overlay = shown.view === "overlay" && sides.length === 2;
  const note = document.getElementById("pointed");
  const maps = shown.points === null ? [] : [...document.querySelectorAll("svg.map")].map(svg => new RouteMap(svg, shown, note));
  const slider = document.getElementById("time");
  const said = document.getElementById("said");
  const play = document.getElementById("play");
  const PLAY_SECONDS = 8;
  if (maps.length > 1) maps.forEach((map, one) => { map.label = sides[one].label; });
  let times = [];
  let chart = null;
  let timer = null;

  function at(side, seconds) {
    let last = null;
    for (const found of side.incumbents) if (found.seconds <= seconds) last = found;
    return last;
  }

  function sayCost(side, found) {
    if (found === null) return `${side.label}: nothing yet`;
    const gap = shown.reference ? ` (${(100 * (found.cost - shown.reference) / shown.reference).toFixed(2).replace("-", "−")} %)` : "";
    return `${side.label}: ${costWords(found.cost, shown.decimals)}${gap}`;
  }

  function show(place) {
    const seconds = times[place];
    const found = sides.map(side => at(side, seconds));
    const routes = found.map(one => (one?.solution ?? []).filter(route => route.length));
    if (maps.length && overlay) {
      maps[0].showBoth(...sides.map((side, one) => ({ ...side, routes: routes[one] })));
    } else if (maps.length) {
      const colours = [];
      maps.slice(0, sides.length).forEach((map, one) => {
        colours.push(routeColours(routes[one], map, colours[0]));
        map.showRoutes(routes[one], colours[one], routes[1 - one]?.length ? routes[1 - one] : null);
      });
    }
    if (maps.length && sides.length === 2) sayEdges(routes);
    if (maps.length && told !== null) tell(told);
    chart?.mark(seconds);
    const words = `${secondsWords(seconds)} s. ${sides.map((side, one) => sayCost(side, found[one])).join("; ")}`;
    said.textContent = words;
    slider.setAttribute("aria-valuetext", words);
  }

  function sayEdges(routes) {
    const { legs, common, a, b } = compared(...routes, shown);
    const apart = legs.length ? " The ways from and to the depot are not counted." : "";
    document.getElementById("edges").textContent = routes.every(one => one.length)
      ? `${common.length} edges are in both, ${a.length} only in ${sides[0].label}, ${b.length} only in ${sides[1].label}.${apart}`
      : "";
  }

  function remember() {
    const address = new URL(location.href);
    if (Number(slider.value) === times.length - 1) address.searchParams.delete("t");
    else address.searchParams.set("t", secondsWords(times[slider.value]));
    history.replaceState(null, "", address);
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }

  function start() {
    if (Number(slider.value) === times.length - 1) slider.value = 0;
    play.textContent = "Pause";
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      show(slider.value);
      if (Number(slider.value) === times.length - 1) {
        stop();
        remember();
      }
    }, Math.max(60, 1000 * PLAY_SECONDS / times.length));
  }

  async function load() {
    if (!sides.length || !slider) return;
    try {
      await Promise.all(sides.filter(side => side.address).map(async side => {
        const answer = await fetch(side.address);
        if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
        side.incumbents = (await answer.json()).incumbents;
      }));
    } catch (error) {
      said.textContent = `The solutions could not be loaded: ${error.message}.`;
      return;
    }
    times = [...new Set(sides.flatMap(side => side.incumbents.map(found => found.seconds)))].sort((a, b) => a - b);
    const series = sides.map(side => ({ ...side, trace: side.incumbents.map(found => [found.seconds, found.cost]) }));
    chart = new TraceChart(document.getElementById("trace"), { ...shown, series });
    if (!times.length) {
      said.textContent = "There is no solution yet to show.";
      return;
    }
    slider.max = times.length - 1;
    const wanted = Number(new URL(location.href).searchParams.get("t") ?? Infinity);
    slider.value = times.findLastIndex(seconds => seconds <= wanted * 1.005) < 0 ? 0 : times.findLastIndex(seconds => seconds <= wanted * 1.005);
    slider.disabled = play.disabled = times.length < 2;
    show(slider.value);
    document.getElementById("replay").dataset.ready = "yes";
  }

  slider?.addEventListener("input", () => { stop(); show(slider.value); });
  slider?.addEventListener("change", remember);
  play?.addEventListener("click", () => (timer === null ? start() : (stop(), remember())));
  load();
}
