"use strict";

// A run: its cost against time, and while it runs every incumbent as the referee confirms it.
{
  const shown = JSON.parse(document.getElementById("shown").textContent);
  const series = [{ label: shown.label, colour: "#5b8cff", trace: shown.trace }];
  const chart = new TraceChart(document.getElementById("trace"), { ...shown, series });
  const rows = document.getElementById("incumbents");
  const cost = document.getElementById("cost");

  function clear() {
    series[0].trace.length = 0;
    rows.replaceChildren();
    cost.textContent = "–";
    chart.draw();
  }

  function add(found) {
    if (series[0].trace.some(([known]) => known === found.seconds)) return;
    series[0].trace.push([found.seconds, found.cost]);
    const row = rows.insertRow();
    row.insertCell().textContent = secondsWords(found.seconds);
    row.insertCell().textContent = cost.textContent = costWords(found.cost, shown.decimals);
    chart.draw();
  }

  function follow(address) {
    let { attempt } = shown;
    const leave = () => {
      close();
      location.reload();
    };
    const close = listen(address, {
      incumbent: add,
      state(news) {
        // What another attempt found is not of this one.
        if (news.attempt !== attempt) clear();
        attempt = news.attempt;
        if (news.state !== "ended") showState(document.querySelector("#state .badge"), news.state);
        document.getElementById("spoken").textContent = `The run is ${news.state}.`;
      },
      end: leave,
      deleted: leave,
    });
  }

  if (shown.events !== null) follow(shown.events);
}
