"use strict";

// A run: its cost against time, and while it runs every incumbent as the referee confirms it.
{
  const shown = JSON.parse(document.getElementById("shown").textContent);
  const series = [{ label: shown.label, colour: "#5b8cff", trace: shown.trace }];
  const chart = new TraceChart(document.getElementById("trace"), { ...shown, series });
  const rows = document.getElementById("incumbents");

  function clear() {
    series[0].trace.length = 0;
    rows.replaceChildren();
    chart.draw();
  }

  function add({ seconds, cost }) {
    if (series[0].trace.some(([known]) => known === seconds)) return;
    series[0].trace.push([seconds, cost]);
    const row = rows.insertRow();
    row.insertCell().textContent = secondsWords(seconds);
    row.insertCell().textContent = costWords(cost, shown.decimals);
    document.getElementById("cost").textContent = costWords(cost, shown.decimals);
    chart.draw();
  }

  if (shown.events !== null) {
    const source = new EventSource(shown.events);
    const spoken = document.getElementById("spoken");
    source.addEventListener("incumbent", event => add(JSON.parse(event.data)));
    source.addEventListener("restart", clear);
    source.addEventListener("state", event => {
      const { state } = JSON.parse(event.data);
      if (state !== "ended") document.querySelector("#state .badge").textContent = state;
      spoken.textContent = `The run is ${state}.`;
    });
    for (const name of ["end", "deleted"]) {
      source.addEventListener(name, () => {
        source.close();
        location.reload();
      });
    }
    addEventListener("pagehide", () => source.close());
  }
}
