
"use strict";
const count = {{tiles}};
const names = { h3: "HTTP/3", h2: "HTTP/2", "http/1.1": "HTTP/1.1" };
const byId = id => document.getElementById(id);
const median = list => list.sort((a, b) => a - b)[list.length >> 1];
const timing = url => performance.getEntriesByName(url, "resource").pop();

const tiles = Array.from({ length: count }, () => {
  const tile = document.createElement("div");
  tile.className = "tile";
  byId("tiles").append(tile);
  return tile;
});

// load fetches one tile, shows it, and returns its protocol and time: from the request on, without the wait for its turn
// in the browser. The browser says which protocol it used; the server says what it saw, which is shown when the browser
// does not tell.
async function load(tile, n, round) {
  const url = new URL("/tile/" + n + "?" + round, location).href;
  const began = performance.now();
  const answer = await (await fetch(url, { cache: "no-store" })).json();
  const entry = timing(url);
  const proto = (entry && entry.nextHopProtocol) || answer.proto;
  const span = entry && entry.requestStart > 0 ? entry.responseEnd - entry.requestStart : -1;
  const ms = span >= 0 ? span : performance.now() - began;
  const short = proto.replace("http/1.1", "h1");
  tile.className = "tile " + short;
  tile.style.background = answer.colour;
  tile.title = "tile " + n + ": the browser says " + proto + ", the server says " + answer.proto;
  const label = document.createElement("b"), time = document.createElement("span");
  label.textContent = short;
  time.textContent = ms.toFixed(ms < 10 ? 1 : 0) + " ms";
  tile.replaceChildren(label, time);
  return { proto, ms };
}

let round = 0;
async function loadAll() {
  byId("again").disabled = true;
  performance.clearResourceTimings();
  round++;
  const times = {};
  let failed = 0, done = 0;
  const began = performance.now();
  const show = () => {
    const parts = Object.keys(times).sort().map(p =>
      times[p].length + " over " + (names[p] || p) + ", median " + median(times[p]).toFixed(1) + " ms");
    if (failed > 0) parts.push(failed + " failed");
    const head = done < count ? done + " of " + count : "All " + count + " tiles in " + (performance.now() - began).toFixed(0) + " ms";
    byId("summary").textContent = head + ": " + parts.join("; ");
  };
  await Promise.all(tiles.map(async (tile, n) => {
    tile.className = "tile";
    try {
      const { proto, ms } = await load(tile, n, round);
      (times[proto] ||= []).push(ms);
    } catch {
      tile.className = "tile failed";
      failed++;
    }
    done++;
    show();
  }));
  byId("hint").hidden = "h3" in times;
  byId("again").disabled = false;
  document.body.dataset.done = round;
}

performance.setResourceTimingBufferSize(2 * count);
const page = performance.getEntriesByType("navigation")[0];
byId("page").textContent = names[page.nextHopProtocol] || page.nextHopProtocol || "an unknown protocol";
byId("again").addEventListener("click", loadAll);
loadAll();
