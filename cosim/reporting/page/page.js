// SPDX-License-Identifier: Apache-2.0
// Fills the page's plots from the arrays beside it, and answers its filters.
"use strict";
(() => {
  const COLOURS = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7F7F7F", "#8C510A"];
  const PARTS = ["downlink", "computing", "uplink"];
  const STATUS = ["done", "late", "lost", "unreachable"];
  const KINDS = { f4: Float32Array, u4: Uint32Array, u2: Uint16Array, u1: Uint8Array };
  const DRAWN = 3000; // points at most
  const NOBODY = 255;
  const element = (id) => document.getElementById(id);
  const colour = (index) => COLOURS[index % COLOURS.length];

  function parse(json) {
    return JSON.parse(json, (key, value) => {
      if (!value || typeof value.base64 !== "string") return value;
      const text = atob(value.base64);
      const bytes = new Uint8Array(text.length);
      for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
      return new KINDS[value.type](bytes.buffer);
    });
  }

  let data = parse(element("data").textContent), cases = data.cases;
  let model, following = true;
  const map = cellMap({ element, fill, model: (name) => model(name), cases: () => cases, live: () => data.live, most: DRAWN });

  function fill(name, columns) { model(name).data = columns; }

  // Adds what a select does not have yet; what was chosen stays so.
  function options(name, texts, first) {
    const select = element(name), there = new Set([...select.options].map((option) => option.value));
    const all = first === undefined ? [] : [[first, ""]];
    for (const [text, value] of [...all, ...texts]) if (!there.has(value)) select.add(new Option(text, value));
  }

  // The requests whose rows an exchange carries: one, or those that share its pass.

  function requests(each, from, at) {
    if (!each.passes) return [from.request[at]];
    const { begin, request } = each.passes;
    return request.subarray(begin[from.pass[at]], begin[from.pass[at] + 1]);
  }

  function whose(each, from, at) {
    const all = requests(each, from, at);
    if (all.length === 1) return `request ${all[0]}, position ${from.position[at]}`;
    return `${all.length} requests: ${[...all.slice(0, 12)].join(", ")}${all.length > 12 ? ", …" : ""}`;
  }

  const ms = (value) => (value >= 100 ? value.toFixed(0) : value.toFixed(1)) + " ms";

  // Layers: each exchange as a point, and the distribution of those that the filters leave.

  function filterLayers() {
    const wanted = {};
    for (const name of ["case", "phase", "request", "layer", "device"]) wanted[name] = element(`layers-${name}`).value;
    const kept = cases.map((each, index) => (wanted.case === "" || +wanted.case === index ? keep(each, wanted) : []));
    const count = kept.reduce((sum, some) => sum + some.length, 0);
    const step = Math.max(1, Math.ceil(count / DRAWN));
    const points = { x: [], y: [], colour: [], case: [], whose: [], layer: [], device: [] };
    const curves = { xs: [], ys: [], colour: [], case: [] };
    const said = [];
    kept.forEach((some, index) => {
      if (!some.length) return;
      const each = cases[index], from = each.exchanges;
      for (let i = 0; i < some.length; i += step) {
        const at = some[i];
        points.x.push(from.time_s[at]);
        points.y.push(from.latency_ms[at]);
        points.colour.push(colour(each.label));
        points.case.push(each.title);
        points.whose.push(whose(each, from, at));
        points.layer.push(from.layer[at]);
        points.device.push(each.devices[from.device[at]] ?? "none");
      }
      const sorted = Float32Array.from(some, (at) => from.latency_ms[at]).sort();
      const shown = Math.min(sorted.length, 300), xs = [], ys = [];
      for (let i = 0; i < shown; i++) {
        const rank = Math.min(sorted.length - 1, Math.round((i / Math.max(shown - 1, 1)) * (sorted.length - 1)));
        xs.push(sorted[rank]);
        ys.push((rank + 1) / sorted.length);
      }
      curves.xs.push(xs);
      curves.ys.push(ys);
      curves.colour.push(colour(each.label));
      curves.case.push(each.title);
      const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
      said.push(`${each.title}: ${sorted.length} layers, median ${ms(at(0.5))}, 95th percentile ${ms(at(0.95))}`);
    });
    fill("layers", points);
    fill("spread", curves);
    const less = step > 1 ? ` Each ${step}th is drawn.` : "";
    element("layers-said").textContent = (said.join("; ") || "No layer is left by these filters") + "." + less;
  }

  function keep(each, wanted) {
    const from = each.exchanges, found = [];
    const device = wanted.device === "" ? -1 : wanted.device === "none" ? NOBODY : each.devices.indexOf(wanted.device);
    if (wanted.device !== "" && device < 0) return found;
    for (let at = 0; at < from.layer.length; at++) {
      if (wanted.phase !== "" && from.phase[at] !== +wanted.phase) continue;
      if (wanted.request !== "" && !requests(each, from, at).includes(+wanted.request)) continue;
      if (wanted.layer !== "" && from.layer[at] !== +wanted.layer) continue;
      if (device >= 0 && from.device[at] !== device) continue;
      found.push(at);
    }
    return found;
  }

  // One exchange after the other.

  function showExchange(at) {
    const each = cases[+element("step-case").value], from = each.stepped;
    at = Math.max(0, Math.min(from.count - 1, at));
    element("step-at").max = from.count - 1;
    element("step-at").value = at;
    const bars = { device: [], left: [], right: [], colour: [], part: [], took: [] };
    const ends = { x: [], device: [], kind: [] };
    for (let row = from.begin[at]; row < from.begin[at + 1]; row++) {
      const device = each.devices[from.device[row]];
      PARTS.forEach((part, index) => {
        const left = from.edges[index][row], right = from.edges[index + 1][row];
        if (isNaN(left) || isNaN(right)) return;
        bars.device.push(device);
        bars.left.push(left);
        bars.right.push(right);
        bars.colour.push(colour(index));
        bars.part.push(part);
        bars.took.push(right - left);
      });
      if (from.status[row] !== 0) ends.kind.push("✕ " + STATUS[from.status[row]]);
      else if (from.device[row] === from.ended[at]) ends.kind.push("◀");
      else continue;
      ends.x.push(from.status[row] === 0 ? from.edges[3][row] : from.took_ms[at]);
      ends.device.push(device);
    }
    const plot = model("step-plot");
    const shown = each.devices.length > 16 ? [...new Set(bars.device)] : [...each.devices];
    plot.height = 110 + 24 * shown.length;
    plot.y_range.factors = shown.reverse();
    plot.x_range.start = 0;
    plot.x_range.end = Math.max(from.took_ms[at], 1e-6) * 1.15;
    fill("step", bars);
    fill("step-end", ends);
    const who = each.devices[from.ended[at]];
    element("step-said").textContent =
      `Exchange ${from.start + at + 1} of ${from.start + from.count}: ${whose(each, from, at)}, ` +
      `${data.phases[from.phase[at]]}, layer ${from.layer[at]}, ${from.tokens[at]} tokens, ` +
      `${ms(from.took_ms[at])}; ${who ? who + " ended it" : "no device ended it"}.`;
  }

  // Links over virtual time, above what was chosen.

  function showLinks() {
    const each = cases[+element("links-case").value], from = each.links;
    const quantity = element("links-quantity").value, only = element("links-device").value;
    const lines = { xs: [], ys: [], colour: [], device: [] };
    each.devices.forEach((name, device) => {
      if (only !== "" && only !== name) return;
      const xs = [], ys = [];
      for (let row = 0; row < from.device.length; row++) {
        if (from.device[row] !== device) continue;
        xs.push(from.time_s[row]);
        ys.push(from[quantity] ? from[quantity][row] : NaN);
      }
      lines.xs.push(xs);
      lines.ys.push(ys);
      lines.colour.push(colour(device));
      lines.device.push(name);
    });
    fill("links", lines);
    model("links-plot").left[0].axis_label = data.quantities[quantity];
    const marks = each.marks.filter((mark) => only === "" || only === mark[1]);
    fill("marks", { x: marks.map((mark) => mark[0]), text: marks.map((mark) => `${mark[1]}: ${mark[2]}`) });
    const { edges, shares } = each.shares;
    const quads = { left: [], right: [], bottom: [], top: [], colour: [], device: [], share: [] };
    for (let bin = 0; bin + 1 < edges.length; bin++) {
      let below = 0;
      each.devices.forEach((name, device) => {
        const share = 100 * shares[bin * each.devices.length + device];
        if (share > 0 && (only === "" || only === name)) {
          quads.left.push(edges[bin]);
          quads.right.push(edges[bin + 1]);
          quads.bottom.push(below);
          quads.top.push(below + share);
          quads.colour.push(colour(device));
          quads.device.push(name);
          quads.share.push(share);
          below += share;
        }
      });
    }
    fill("shares", quads);
    element("links-key").replaceChildren(...each.devices.map((name, device) => key(name, colour(device))));
    const bare = from[quantity] ? "" : " This radio does not tell it.";
    element("links-said").textContent = `${data.quantities[quantity]} of ${only || "each device"} in ${each.title}.` +
      (marks.length ? ` ${marks.length} marks: handovers, devices cut off, gone or back.` : "") + bare;
  }

  function key(text, paint) {
    const item = document.createElement("span"), dot = document.createElement("i");
    dot.style.background = paint;
    item.append(dot, text);
    return item;
  }

  // Light and dark.

  function paint() {
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--ink").trim(), faint = style.getPropertyValue("--rule").trim();
    for (const name of ["layers", "spread", "step", "links", "shares", "map"]) {
      const plot = model(`${name}-plot`);
      for (const axis of [...plot.left, ...plot.below]) {
        axis.axis_label_text_color = axis.major_label_text_color = ink;
        axis.axis_line_color = axis.major_tick_line_color = ink;
        axis.minor_tick_line_color = null;
        axis.axis_label_text_font_style = "normal";
      }
      for (const grid of plot.center) grid.grid_line_color = faint;
    }
    model("map-bar").major_label_text_color = model("map-bar").title_text_color = ink;
  }

  function theme(choice) {
    document.documentElement.dataset.theme = choice;
    element("theme").textContent = choice === "dark" ? "Light" : "Dark";
    if (model) paint();
  }

  function offer() {
    const numbers = (columns) => {
      const found = new Set();
      for (const column of columns) for (const value of column) found.add(value);
      return [...found].sort((a, b) => a - b).map((value) => [String(value), String(value)]);
    };
    const devices = [...new Set(cases.flatMap((each) => each.devices))].map((name) => [name, name]);
    const titles = cases.map((each, index) => [each.title, String(index)]);
    options("layers-case", titles, "all policies");
    const phases = numbers(cases.map((each) => each.exchanges.phase));
    options("layers-phase", phases.map(([, value]) => [data.phases[value], value]), "all phases");
    options("layers-request", numbers(cases.map((each) => (each.passes ?? each.exchanges).request)), "all requests");
    options("layers-layer", numbers(cases.map((each) => each.exchanges.layer)), "all layers");
    options("layers-device", [...devices, ["no device", "none"]], "ended by any device");
    options("step-case", titles);
    options("links-case", titles);
    options("map-case", titles);
    options("map-device", devices, "everybody");
    const told = Object.entries(data.quantities).filter(([name]) => cases.some((each) => each.links[name]));
    options("links-quantity", told.map(([name, text]) => [text, name]));
    options("links-device", devices, "all devices");
    element("layers-key").replaceChildren(...data.labels.map((label, index) => key(label, colour(index))));
    element("step-key").replaceChildren(...PARTS.map((part, index) => key(part, colour(index))));
  }

  function show() {
    offer();
    filterLayers();
    if (following) {
      if (data.live) for (const name of ["step", "links", "map"]) element(`${name}-case`).value = String(cases.length - 1);
      showExchange(cases[+element("step-case").value].stepped.first);
    }
    showLinks();
    map.show(following);
    document.documentElement.dataset.ready = "yes";
  }

  function begin(doc) {
    model = (name) => doc.get_model_by_name(name);
    const chosen = () => showExchange(cases[+element("step-case").value].stepped.first);
    const at = element("step-at");
    const step = (by) => { following = false; showExchange(+at.value + by); };
    for (const name of ["case", "phase", "request", "layer", "device"]) {
      element(`layers-${name}`).addEventListener("change", filterLayers);
    }
    element("step-case").addEventListener("change", () => { following = false; chosen(); });
    at.addEventListener("input", () => step(0));
    element("step-back").addEventListener("click", () => step(-1));
    element("step-on").addEventListener("click", () => step(1));
    for (const name of ["case", "quantity", "device"]) element(`links-${name}`).addEventListener("change", showLinks);
    map.listen(() => { following = false; });
    paint();
    if (cases.length) show();
    if (data.live) follow();
  }

  // A run that goes on: what it has recorded since, from the program that serves this page.

  async function follow() {
    let answer;
    try {
      answer = await fetch(`data?seen=${data.live.version}`, { cache: "no-store" });
    } catch {
      element("progress").textContent += " The program that showed it has ended.";
      return;
    }
    if (answer.status === 200) {
      data = parse(await answer.text());
      cases = data.cases;
      if (cases.length && !document.querySelector(".run")) return location.reload(); // with what was run
      if (cases.length) show();
      element("progress").textContent = data.live.said;
      element("bar").max = data.live.all || 1;
      element("bar").value = data.live.done;
      rows(data.live.table);
      document.documentElement.dataset.updates = +(document.documentElement.dataset.updates || 0) + 1;
      if (data.live.over) return;
    }
    setTimeout(follow, 1000);
  }

  function rows(table) {
    const cell = (kind, text) => Object.assign(document.createElement(kind), { textContent: text });
    const row = (cells) => { const made = document.createElement("tr"); made.append(...cells); return made; };
    const [head, body] = [document.querySelector("#summary thead"), document.querySelector("#summary tbody")];
    head.replaceChildren(row([head.querySelector("th"), ...table.labels.map((label) => cell("th", label))]));
    body.replaceChildren(...table.rows.map(([name, values]) => row([cell("th", name), ...values.map((v) => cell("td", v))])));
  }

  theme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  element("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  (function wait() {
    const doc = window.Bokeh && Bokeh.documents[0];
    if (doc && doc.get_model_by_name("map-plot") && document.querySelector("#map *")) begin(doc);
    else setTimeout(wait, 20);
  })();
})();
