// SPDX-License-Identifier: Apache-2.0
// The cell: where devices were, with what SINR, and where everybody is at the time of the slider.
"use strict";
function cellMap({ element, fill, model, cases, live, most }) {
  let playing;
  const shown = () => cases()[+element("map-case").value]?.map;

  function show(following) {
    const from = shown(), only = element("map-device").value;
    const tracks = { xs: [], ys: [], dash: [] }, had = { x: [], y: [], device: [], sinr: [], time: [] };
    const sites = { x: [], y: [], name: [], fill: [] }, sectors = { x0: [], y0: [], x1: [], y1: [] };
    element("map-play").disabled = element("map-at").disabled = !from;
    if (from) {
      const step = Math.ceil((from.time_s.length * from.sinr_db.length) / most);
      from.places.forEach(([xs, ys], user) => {
        const name = from.users[user], sinr = from.sinr_db[user];
        if (only !== "" && only !== name) return;
        tracks.xs.push(xs);
        tracks.ys.push(ys);
        tracks.dash.push(sinr ? "solid" : "dotted");
        for (let at = 0; sinr && xs.length > 1 && at < sinr.length; at += step) {
          if (isNaN(sinr[at])) continue;
          had.x.push(xs[at]);
          had.y.push(ys[at]);
          had.device.push(name);
          had.sinr.push(sinr[at]);
          had.time.push(from.time_s[at]);
        }
      });
      const size = Math.max(from.high[0] - from.low[0], from.high[1] - from.low[1]);
      for (const [x, y, azimuths, neighbour] of from.sites) {
        sites.x.push(x);
        sites.y.push(y);
        sites.name.push(neighbour ? "neighbour" : "base station");
        sites.fill.push(neighbour ? 0 : 1);
        for (const azimuth of azimuths) {
          const way = (azimuth * Math.PI) / 180;
          sectors.x0.push(x);
          sectors.y0.push(y);
          sectors.x1.push(x + 0.06 * size * Math.cos(way));
          sectors.y1.push(y + 0.06 * size * Math.sin(way));
        }
      }
      const all = from.sinr_db.flatMap((sinr) => [...sinr]).filter((value) => !isNaN(value));
      model("map-colours").low = all.reduce((least, value) => Math.min(least, value), Infinity);
      model("map-colours").high = all.reduce((most, value) => Math.max(most, value), -Infinity);
      fit(from);
      element("map-at").max = from.time_s.length - 1;
      if (following) element("map-at").value = live() ? from.time_s.length - 1 : 0;
    }
    fill("map-tracks", tracks);
    fill("map-had", had);
    fill("map-sites", sites);
    fill("map-sectors", sectors);
    moment();
  }

  // One metre is as long along both axes.
  function fit({ low, high }) {
    const plot = model("map-plot");
    const wide = plot.inner_width || element("map").clientWidth - 190, tall = plot.inner_height || plot.height - 60;
    const metres = Math.max((high[0] - low[0]) / wide, (high[1] - low[1]) / tall);
    [[plot.x_range, wide], [plot.y_range, tall]].forEach(([range, pixels], axis) => {
      const middle = (low[axis] + high[axis]) / 2;
      [range.start, range.end] = [middle - (metres * pixels) / 2, middle + (metres * pixels) / 2];
      range.reset_start = range.start;
      range.reset_end = range.end;
    });
  }

  function moment() {
    const each = cases()[+element("map-case").value], from = each.map, only = element("map-device").value;
    const now = { x: [], y: [], user: [], sinr: [], marker: [], size: [] };
    if (!from) {
      fill("map-now", now);
      element("map-said").textContent = "Nobody has a place in this scenario.";
      return;
    }
    const at = +element("map-at").value, said = [];
    from.places.forEach(([xs, ys], user) => {
      const name = from.users[user], sinr = from.sinr_db[user];
      const here = xs.length > 1 ? at : 0;
      if ((only !== "" && only !== name) || isNaN(xs[here])) return;
      now.x.push(xs[here]);
      now.y.push(ys[here]);
      now.user.push(name);
      now.sinr.push(sinr ? sinr[at] : NaN);
      now.marker.push(sinr ? "circle" : "cross");
      now.size.push(sinr ? 11 : 8);
      if (sinr) said.push(`${name} ${isNaN(sinr[at]) ? "no SINR" : sinr[at].toFixed(1) + " dB"}`);
    });
    fill("map-now", now);
    const told = said.length > 16 ? `${said.length} devices` : said.join(", ");
    element("map-said").textContent = `At ${from.time_s[at].toFixed(3)} s of virtual time in ${each.title}: ${told}. ` +
      "Small points: what SINR a device had on its way; triangles: base stations, hollow ones neighbours; crosses: other users.";
  }

  function play() {
    const at = element("map-at"), step = Math.max(1, Math.round(+at.max / 200));
    if (playing) return pause();
    if (+at.value >= +at.max) at.value = 0;
    element("map-play").textContent = "Pause";
    playing = setInterval(() => {
      at.value = +at.value + step;
      moment();
      if (+at.value >= +at.max) pause();
    }, 50);
  }

  function pause() {
    clearInterval(playing);
    playing = undefined;
    element("map-play").textContent = "Play";
  }

  function listen(heard) {
    for (const name of ["case", "device"]) element(`map-${name}`).addEventListener("change", () => { pause(); show(); });
    element("map-at").addEventListener("input", () => { heard(); pause(); moment(); });
    addEventListener("resize", () => setTimeout(() => shown() && fit(shown()), 300));
    element("map-play").addEventListener("click", () => { heard(); play(); });
  }

  return { show, listen };
}
