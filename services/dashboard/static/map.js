"use strict";

// The map of an instance: its locations, and the routes of one solution or two.
const ROUTE_COLOURS = ["#5b8cff", "#ee6600", "#138058", "#cc66cc", "#8f48c4", "#bb8855", "#d2103a", "#6b7a8f"];
const MAP_WIDTH = 600;
const REACH = 18;

class RouteMap {
  // ``instance``: points, depot, closed (whether vehicles return), demand.
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
    svg.addEventListener("pointermove", event => this.point(event));
    svg.addEventListener("pointerleave", () => this.ring.setAttribute("visibility", "hidden"));
  }

  // Routes, a colour each; what ``other`` has not is drawn strong, the rest weak.
  showRoutes(routes, other = null) {
    const common = other === null ? null : edgesOf(other, this.instance);
    const ordered = byAngle(routes, this.places, this.instance.depot);
    const parts = new Map();
    const add = (name, from, to) => {
      if (!parts.has(name)) parts.set(name, []);
      parts.get(name).push(this.line(from, to));
    };
    ordered.forEach((route, place) => {
      const tour = routes.length === 1;
      eachEdge(route, this.instance, (from, to, leg) => {
        const own = common === null || !common.has(edgeKey(from, to));
        if (leg && !tour) add("legs", from, to);
        else add(`${place % ROUTE_COLOURS.length} ${common === null ? "plain" : own ? "own" : "common"}`, from, to);
      });
    });
    const drawn = [...parts].map(([name, lines]) => {
      const [colour, kind] = name.split(" ");
      return kind ? { d: lines.join(""), class: `edges ${kind}`, stroke: ROUTE_COLOURS[colour] } : { d: lines.join(""), class: "edges legs" };
    });
    this.set(drawn, [routes]);
  }

  // Two solutions on one map: what both have, and what each has alone.
  showBoth(first, second) {
    const edges = [first, second].map(side => edgesOf(side.routes, this.instance));
    const several = Math.max(first.routes.length, second.routes.length) > 1;
    const groups = {};
    const count = { common: 0, a: 0, b: 0 };
    const add = (name, ends) => {
      const leg = several && ends.includes(this.instance.depot) ? " leg" : "";
      (groups[name + leg] ??= []).push(this.line(...ends));
      count[name] += 1;
    };
    for (const [key, ends] of edges[0]) add(edges[1].has(key) ? "common" : "a", ends);
    for (const [key, ends] of edges[1]) if (!edges[0].has(key)) add("b", ends);
    const looks = { common: ["shared"], a: ["own", first.colour], b: ["own other", second.colour] };
    this.set(Object.entries(groups).map(([name, lines]) => {
      const [looked, leg] = name.split(" ");
      const [kind, colour] = looks[looked];
      return { d: lines.join(""), class: `edges ${kind}${leg ? " leg" : ""}`, ...(colour ? { stroke: colour } : {}) };
    }), [first.routes, second.routes]);
    return count;
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

  // What is under the pointer, in words.
  point(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    let nearest = -1, least = REACH;
    this.places.forEach(([x, y], place) => {
      const distance = Math.hypot(x - at.x, y - at.y);
      if (distance < least) [nearest, least] = [place, distance];
    });
    this.ring.setAttribute("visibility", nearest < 0 ? "hidden" : "visible");
    if (nearest < 0) return;
    this.ring.setAttribute("cx", this.places[nearest][0]);
    this.ring.setAttribute("cy", this.places[nearest][1]);
    if (this.note) this.note.textContent = this.words(nearest);
  }

  words(location) {
    const parts = [location === this.instance.depot ? `Depot, location ${location}` : `Location ${location}`];
    if (this.instance.demand && location !== this.instance.depot) parts.push(`demand ${this.instance.demand[location]}`);
    this.shown.forEach(routes => {
      const route = routes.findIndex(stops => stops.includes(location));
      if (route >= 0) parts.push(`route ${route + 1}, stop ${routes[route].indexOf(location) + 1} of ${routes[route].length}`);
    });
    return parts.join(" · ");
  }
}

const edgeKey = (from, to) => (from < to ? `${from} ${to}` : `${to} ${from}`);

// Calls with both ends of each edge of a route, and whether it begins or ends at the depot.
function eachEdge(route, { depot, closed }, call) {
  const stops = [depot, ...route, ...(closed ? [depot] : [])];
  for (let at = 1; at < stops.length; at += 1) call(stops[at - 1], stops[at], at === 1 || (closed && at === stops.length - 1));
}

function edgesOf(routes, instance) {
  const edges = new Map();
  for (const route of routes) if (route.length) eachEdge(route, instance, (from, to) => edges.set(edgeKey(from, to), [from, to]));
  return edges;
}

function byAngle(routes, places, depot) {
  const angle = route => {
    const sum = route.reduce(([x, y], at) => [x + places[at][0], y + places[at][1]], [0, 0]);
    return Math.atan2(sum[1] / route.length - places[depot][1], sum[0] / route.length - places[depot][0]);
  };
  return routes.filter(route => route.length).map(route => [angle(route), route]).sort((a, b) => a[0] - b[0]).map(([, route]) => route);
}
