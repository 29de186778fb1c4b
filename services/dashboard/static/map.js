"use strict";

// The map of an instance: its locations, and the routes of one solution or two.
const ROUTE_COLOURS = ["#5b8cff", "#ee6600", "#138058", "#cc66cc", "#8f48c4", "#bb8855", "#d2103a", "#6b7a8f"];
// What is drawn over what.
const KINDS = ["legs", "common", "plain", "own"];
const MAP_WIDTH = 600;
const REACH = 18;

class RouteMap {
  // All maps of the page: what is pointed at on one is ringed on each.
  static all = [];

  // ``instance``: points, depot, closed (whether vehicles return), demand. ``note`` is where locations are told.
  constructor(svg, instance, note) {
    Object.assign(this, { svg, instance, note, shown: [] });
    const xs = instance.points.map(([x]) => x), ys = instance.points.map(([, y]) => y);
    const low = [Math.min(...xs), Math.min(...ys)], high = [Math.max(...xs), Math.max(...ys)];
    const span = Math.max(high[0] - low[0], (high[1] - low[1]) / 1.2, 1e-9);
    const scale = (MAP_WIDTH - 24) / span;
    const height = Math.max(200, (high[1] - low[1]) * scale + 24);
    const shift = (MAP_WIDTH - 24 - (high[0] - low[0]) * scale) / 2;
    this.places = instance.points.map(([x, y]) => [12 + shift + (x - low[0]) * scale, height - 12 - (y - low[1]) * scale]);
    svg.setAttribute("viewBox", `0 0 ${MAP_WIDTH} ${height.toFixed(1)}`);
    this.lines = put(svg, "g");
    const dots = this.places.map(([x, y], at) => (at === instance.depot ? "" : `M${x.toFixed(1)} ${y.toFixed(1)}h0`)).join("");
    put(svg, "path", { d: dots, class: this.places.length > 300 ? "dots small" : "dots" });
    const [x, y] = this.places[instance.depot];
    put(svg, "rect", { x: x - 6, y: y - 6, width: 12, height: 12, class: "depot" });
    this.ring = put(svg, "circle", { r: 8, class: "ring", visibility: "hidden" });
    RouteMap.all.push(this);
    svg.addEventListener("pointermove", event => {
      const location = this.nearest(event);
      if (location !== null) tell(location);
    });
  }

  // Routes, each in its colour of ``colours``: what ``other`` has not is thick, what both have thin, and the ways
  // from and to the depot are dotted. Where ``label`` is set, it stands before what is told of them.
  showRoutes(routes, colours, other = null) {
    const common = other === null ? null : edgesOf(other, this.instance);
    const several = Math.max(routes.length, other?.length ?? 0) > 1;
    const parts = new Map();
    for (const [route, colour] of colours) {
      eachEdge(route, this.instance, (from, to, leg) => {
        const kind = leg && several ? "legs" : common === null ? "plain" : common.has(edgeKey(from, to)) ? "common" : "own";
        const name = kind === "legs" ? kind : `${kind} ${colour}`;
        if (!parts.has(name)) parts.set(name, { kind, colour, lines: [] });
        parts.get(name).lines.push(this.line(from, to));
      });
    }
    const ordered = [...parts.values()].sort((one, two) => KINDS.indexOf(one.kind) - KINDS.indexOf(two.kind));
    this.set(ordered.map(({ kind, colour, lines }) => (
      { d: lines.join(""), class: `edges ${kind}`, ...(kind === "legs" ? {} : { stroke: ROUTE_COLOURS[colour] }) }
    )), [{ routes, label: this.label }]);
  }

  // Two solutions on one map: what both have, and what each has alone. Each has routes, a label and a colour.
  showBoth(first, second) {
    const edges = compared(first.routes, second.routes, this.instance);
    const looks = { legs: ["legs"], common: ["shared"], a: ["own", first.colour], b: ["own other", second.colour] };
    this.set(Object.entries(looks).map(([part, [kind, colour]]) => (
      { d: edges[part].map(ends => this.line(...ends)).join(""), class: `edges ${kind}`, ...(colour ? { stroke: colour } : {}) }
    )), [first, second]);
  }

  set(paths, shown) {
    this.shown = shown;
    this.lines.replaceChildren();
    for (const path of paths) put(this.lines, "path", path);
  }

  line(from, to) {
    const [a, b] = [this.places[from], this.places[to]];
    return `M${a[0].toFixed(1)} ${a[1].toFixed(1)}L${b[0].toFixed(1)} ${b[1].toFixed(1)}`;
  }

  // The location under the pointer, null if there is none.
  nearest(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    let nearest = null, least = REACH;
    this.places.forEach(([x, y], place) => {
      const distance = Math.hypot(x - at.x, y - at.y);
      if (distance < least) [nearest, least] = [place, distance];
    });
    return nearest;
  }

  ringAt(location) {
    this.ring.setAttribute("visibility", location === null ? "hidden" : "visible");
    if (location === null) return;
    this.ring.setAttribute("cx", this.places[location][0]);
    this.ring.setAttribute("cy", this.places[location][1]);
  }

  // Where the solutions drawn go to a location, each in words.
  stops(location) {
    return this.shown.flatMap(({ routes, label }) => {
      const place = routes.findIndex(stops => stops.includes(location));
      if (place < 0) return [];
      return `${label ? `${label}: ` : ""}route ${place + 1}, stop ${routes[place].indexOf(location) + 1} of ${routes[place].length}`;
    });
  }
}

// The location that is told of, null for none.
let told = null;

// Rings a location on every map, and says below them what it is; null takes the rings away.
function tell(location) {
  told = location;
  for (const map of RouteMap.all) map.ringAt(location);
  if (location === null) return;
  const { instance, note } = RouteMap.all[0];
  const parts = [location === instance.depot ? `Depot, location ${location}` : `Location ${location}`];
  if (instance.demand && location !== instance.depot) parts.push(`demand ${instance.demand[location]}`);
  note.textContent = [...parts, ...RouteMap.all.flatMap(map => map.stops(location))].join(" · ");
}

// By keyboard: the number of a location is typed.
document.getElementById("located")?.addEventListener("input", ({ target }) => {
  const there = target.value !== "" && target.validity.valid;
  tell(there ? Number(target.value) : null);
  if (!there) RouteMap.all[0].note.textContent = target.value === "" ? "" : `There is no such location; the last is ${target.max}.`;
});

const edgeKey = (from, to) => (from < to ? `${from} ${to}` : `${to} ${from}`);

// Calls with both ends of each edge of a route, and whether it begins or ends at the depot.
function eachEdge(route, { depot, closed }, call) {
  const stops = [depot, ...route, ...(closed ? [depot] : [])];
  for (let at = 1; at < stops.length; at += 1) call(stops[at - 1], stops[at], at === 1 || (closed && at === stops.length - 1));
}

function edgesOf(routes, instance) {
  const edges = new Map();
  for (const route of routes) eachEdge(route, instance, (from, to) => edges.set(edgeKey(from, to), [from, to]));
  return edges;
}

// The edges of two solutions: in both, in one alone, and apart from these, where there are several routes, those from and
// to the depot.
function compared(first, second, instance) {
  const several = Math.max(first.length, second.length) > 1;
  const [one, two] = [first, second].map(routes => edgesOf(routes, instance));
  const found = { legs: [], common: [], a: [], b: [] };
  for (const [key, ends] of new Map([...one, ...two])) {
    if (several && ends.includes(instance.depot)) found.legs.push(ends);
    else if (one.has(key)) found[two.has(key) ? "common" : "a"].push(ends);
    else found.b.push(ends);
  }
  return found;
}

// A colour for each route: that of the route in ``like``, another solution's colours, with which it shares most of the
// stops of both; else one in the order of their angles around the depot, so that neighbours differ.
function routeColours(routes, map, like = new Map()) {
  const there = new Map();
  for (const route of like.keys()) for (const stop of route) there.set(stop, route);
  return new Map(byAngle(routes, map.places, map.instance.depot).map((route, place) => {
    const shared = new Map();
    for (const stop of route) if (there.has(stop)) shared.set(there.get(stop), (shared.get(there.get(stop)) ?? 0) + 1);
    const same = [...shared.keys()].find(other => 2 * shared.get(other) > Math.max(route.length, other.length));
    return [route, like.get(same) ?? place % ROUTE_COLOURS.length];
  }));
}

function byAngle(routes, places, depot) {
  const angle = route => {
    const sum = route.reduce(([x, y], at) => [x + places[at][0], y + places[at][1]], [0, 0]);
    return Math.atan2(sum[1] / route.length - places[depot][1], sum[0] / route.length - places[depot][0]);
  };
  return routes.map(route => [angle(route), route]).sort((a, b) => a[0] - b[0]).map(([, route]) => route);
}
