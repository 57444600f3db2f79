"use strict";
// The replay player: reads the episodes from the page's own JSON and draws them on one canvas. World y is up, canvas y is down.
(() => {
  const episodes = JSON.parse(document.getElementById("replays").textContent);
  const canvas = document.getElementById("stage");
  if (!canvas || !episodes.length) return;
  const pen = canvas.getContext("2d");
  const part = (name) => document.getElementById(name);
  const sums = (steps) => { let total = 0; return steps.map((step) => (total += step)); };
  const SURFACES = { sidewalk: "#e0d9cd", path: "#e2e4d8", shoulder: "#d6d7d6", parking: "#c3c7d6", driving: "#cbced3", cycle: "#debeb2", crosswalk: "#cbced3" };
  let episode, tick = 0, playing = false, rate = 1, follow = false, view, drag = null, before = 0, shown = 0;
  const layers = { percepts: true, futures: true };

  function unpack(raw) {
    if (raw.ready) return raw;
    const line = ([x, y]) => { const xs = sums(x), ys = sums(y); return xs.map((v, k) => [v / 10, ys[k] / 10]); };
    const map = raw.map;
    map.surfaces = map.surfaces.map(([kind, x, y]) => [kind, line([x, y])]);
    for (const name of ["edges", "stops", "crosswalks", "scenery"]) map[name] = map[name].map(line);
    for (const actor of raw.actors) {
      for (const name of ["x", "y", "v"]) actor[name] = sums(actor[name]).map((v) => v / 100);
      actor.h = sums(actor.h).map((v) => v / 1000);
    }
    for (const plan of raw.plans) plan.splice(1, 2, line([plan[1], plan[2]]));
    for (const [, joint] of raw.futures) joint.forEach((future) => future.splice(1, future.length - 1, ...future.slice(1).map(line)));
    raw.ready = true;
    return raw;
  }

  // The last entry of [[tick, value], ...] at or before a tick.
  function since(list, at) {
    let low = 0, high = list.length;
    while (low < high) { const middle = (low + high) >> 1; if (list[middle][0] <= at) low = middle + 1; else high = middle; }
    return low ? list[low - 1] : null;
  }
  const on = (changes, at) => changes.filter((change) => change <= at).length % 2 === 1;

  // Where an actor is at a tick that need not be whole; null where it is not on the road.
  function pose(actor, at) {
    const k = at - actor.from;
    if (k < 0 || k > actor.x.length - 1) return null;
    const i = Math.floor(k), j = Math.min(i + 1, actor.x.length - 1), f = k - i;
    const mix = (name) => actor[name][i] * (1 - f) + actor[name][j] * f;
    return { x: mix("x"), y: mix("y"), h: mix("h"), v: mix("v") };
  }

  function whole() {
    const [w, h] = episode.size;
    view = { x: w / 2, y: h / 2, scale: Math.min(canvas.width / w, canvas.height / h) };
  }
  // Where ego met others, as near as its road users can still be made out.
  function close() {
    whole();
    if (episode.focus) view = { x: episode.focus[0], y: episode.focus[1], scale: Math.max(view.scale, canvas.height / 60) };
  }
  const px = (x, y) => [canvas.width / 2 + (x - view.x) * view.scale, canvas.height / 2 - (y - view.y) * view.scale];

  function path(points, closed) {
    pen.beginPath();
    points.forEach(([x, y], k) => { const [a, b] = px(x, y); if (k) pen.lineTo(a, b); else pen.moveTo(a, b); });
    if (closed) pen.closePath();
  }

  function drawMap() {
    pen.fillStyle = "#e8ebe2";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    for (const outline of episode.map.scenery) { path(outline, true); pen.fillStyle = "#b0a89e"; pen.fill(); }
    for (const [kind, outline] of episode.map.surfaces) { path(outline, true); pen.fillStyle = pen.strokeStyle = SURFACES[kind] || "#cbced3"; pen.lineWidth = 1; pen.fill(); pen.stroke(); }
    pen.strokeStyle = "#8c9096"; pen.lineWidth = 1.2;
    for (const edge of episode.map.edges) { path(edge, false); pen.stroke(); }
    pen.strokeStyle = "#ffffff"; pen.lineWidth = Math.max(2, 0.35 * view.scale);
    for (const stop of episode.map.stops) { path(stop, false); pen.stroke(); }
    pen.lineWidth = 1; pen.setLineDash([5, 4]);
    for (const walk of episode.map.crosswalks) { path(walk, true); pen.stroke(); }
    pen.setLineDash([]);
  }

  function drawActor(actor) {
    const at = pose(actor, tick);
    if (!at) return;
    const cos = Math.cos(at.h), sin = Math.sin(at.h), l = actor.length / 2, w = actor.width / 2;
    const corner = (a, b) => [at.x + a * cos - b * sin, at.y + a * sin + b * cos];
    path([corner(l, w), corner(l, -w), corner(-l, -w), corner(-l, w)], true);
    pen.fillStyle = actor.colour; pen.fill();
    pen.lineWidth = actor.ego ? 3 : 1; pen.strokeStyle = "#22262b"; pen.stroke();
    path([corner(l, 0), corner(l - Math.min(1.2, l), w * 0.8), corner(l - Math.min(1.2, l), -w * 0.8)], true);
    pen.fillStyle = "#ffffff"; pen.fill();
    if (on(actor.brake, tick)) { path([corner(-l, w), corner(-l, -w)], false); pen.strokeStyle = "#22262b"; pen.lineWidth = 5; pen.stroke(); path([corner(-l, w), corner(-l, -w)], false); pen.strokeStyle = "#ff4d2e"; pen.lineWidth = 3; pen.stroke(); }
    if (actor.label) {
      const [a, b] = px(at.x, at.y);
      const words = actor.label + (on(actor.wave, tick) ? " waves" : "");
      pen.font = "600 14px system-ui, sans-serif"; pen.textAlign = "center"; pen.lineWidth = 4; pen.strokeStyle = "#ffffff"; pen.fillStyle = "#22262b";
      pen.strokeText(words, a, b - (w + 0.8) * view.scale - 4); pen.fillText(words, a, b - (w + 0.8) * view.scale - 4);
    }
  }

  // Where ego means to be, with a dot a second.
  function drawPlan() {
    const plan = since(episode.plans, tick);
    if (!plan || tick - plan[0] > 5 * episode.every || plan[1].length < 2) return;
    path(plan[1], false); pen.strokeStyle = "#ffffff"; pen.lineWidth = 4; pen.stroke(); pen.strokeStyle = "#c43c00"; pen.lineWidth = 2; pen.stroke();
    for (const [x, y] of plan[1].slice(1)) { const [a, b] = px(x, y); pen.beginPath(); pen.arc(a, b, 3.5, 0, 7); pen.fillStyle = "#ffffff"; pen.fill(); pen.lineWidth = 1.5; pen.stroke(); }
  }

  // What ego perceives: 95 % ellipses, solid of the model that knows kinds, dashed with a diamond of the one that knows only what is in the way.
  function drawPercepts() {
    const seen = since(episode.percepts, tick);
    if (!layers.percepts || !seen || tick - seen[0] > 5 * episode.every) return;
    for (const [x, y, major, minor, degrees, trust, kind] of seen[1]) {
      const [a, b] = px(x / 10, y / 10), coarse = kind % 2 === 1, size = (cm) => Math.max(3, cm / 100 * view.scale);
      pen.strokeStyle = coarse ? "#963c82" : "#005aa0"; pen.lineWidth = 2;
      pen.setLineDash(coarse ? [5, 4] : []);
      pen.beginPath(); pen.ellipse(a, b, size(major), size(minor), -degrees * Math.PI / 180, 0, 7); pen.stroke(); pen.setLineDash([]);
      if (coarse) { pen.beginPath(); pen.moveTo(a - 4, b); pen.lineTo(a, b - 4); pen.lineTo(a + 4, b); pen.lineTo(a, b + 4); pen.closePath(); pen.fillStyle = "#963c82"; pen.fill(); }
      if (kind > 1) { pen.beginPath(); pen.moveTo(a - 6, b - 6); pen.lineTo(a + 6, b + 6); pen.moveTo(a - 6, b + 6); pen.lineTo(a + 6, b - 6); pen.stroke(); }
      if (!coarse && trust < 95) say(`trust ${trust} %`, a + size(major) + 4, b, "left", "#005aa0");
    }
  }

  function say(words, a, b, align, colour) {
    pen.font = "600 12px system-ui, sans-serif"; pen.textAlign = align; pen.lineWidth = 3; pen.strokeStyle = "#ffffff"; pen.fillStyle = colour;
    pen.strokeText(words, a, b); pen.fillText(words, a, b);
  }

  // The others' ways in each likely joint future, the likelier the thicker; the likeliest with its probability.
  function drawFutures() {
    const found = since(episode.futures, tick);
    if (!layers.futures || !found || tick - found[0] > 5 * episode.every) return;
    const joint = found[1], best = Math.max(...joint.map(([share]) => share));
    let told = false;
    for (const [share, ...ways] of joint) for (const way of ways) {
      const [first, last] = [px(...way[0]), px(...way[way.length - 1])];
      if (Math.hypot(last[0] - first[0], last[1] - first[1]) < 6) continue;
      path(way, false); pen.strokeStyle = pen.fillStyle = "#22262b"; pen.lineWidth = 0.8 + share / 40; pen.setLineDash([3, 5]); pen.stroke(); pen.setLineDash([]);
      const from = px(...way[way.length - 2]), turn = Math.atan2(last[1] - from[1], last[0] - from[0]), r = 5 + share / 20;
      pen.beginPath(); pen.moveTo(...last);
      for (const side of [2.6, -2.6]) pen.lineTo(last[0] + r * Math.cos(turn + side), last[1] + r * Math.sin(turn + side));
      pen.closePath(); pen.fill();
      if (share === best && joint.length > 1 && !told) { told = true; say(`${share} % likely`, last[0] + 8, last[1] - 6, "left", "#22262b"); }
    }
  }

  // Where others have been over the last seconds and, faint, where they then went.
  function drawWays() {
    for (const actor of episode.actors) {
      if (!actor.main) continue;
      const now = Math.floor(tick - actor.from);
      const past = [], next = [];
      for (let k = Math.max(0, now - 20); k <= Math.min(now, actor.x.length - 1); k++) past.push([actor.x[k], actor.y[k]]);
      for (let k = Math.max(0, now); k <= Math.min(now + 30, actor.x.length - 1); k++) next.push([actor.x[k], actor.y[k]]);
      pen.strokeStyle = actor.colour; pen.lineWidth = 2;
      if (past.length > 1) { path(past, false); pen.stroke(); }
      if (next.length > 1 && !actor.ego) { pen.globalAlpha = 0.45; pen.setLineDash([6, 5]); path(next, false); pen.stroke(); pen.setLineDash([]); pen.globalAlpha = 1; }
    }
  }

  function drawBeliefs() {
    const belief = since(episode.beliefs, tick), box = part("beliefs");
    const claims = belief && tick - belief[0] < 5 ? belief[1] : [];
    const key = JSON.stringify(claims);
    if (box.dataset.key === key) return;
    box.dataset.key = key;
    box.replaceChildren(...claims.map(([index, chance]) => {
      const row = document.createElement("div"), name = document.createElement("span"), frame = document.createElement("i"), bar = document.createElement("b"), value = document.createElement("span");
      row.className = "bar"; name.textContent = episode.actors[index].label || "·"; bar.style.width = chance + "%"; value.textContent = chance + " %";
      frame.append(bar); row.append(name, frame, value);
      return row;
    }));
    if (!claims.length) box.textContent = "nobody has a claim on ego's way";
  }

  function draw() {
    const ego = episode.actors.find((actor) => actor.ego), at = ego && pose(ego, tick);
    if (follow && at) { view.x = at.x; view.y = at.y; }
    drawMap(); drawWays(); drawFutures(); drawPlan();
    for (const actor of [...episode.actors].reverse()) drawActor(actor);
    drawPercepts();
    drawBeliefs();
    const why = since(episode.reasons, tick), past = episode.events.filter(([when]) => when <= tick).map(([when, what]) => `${what} at ${(when * episode.tick).toFixed(1)} s`);
    part("clock").textContent = `${(tick * episode.tick).toFixed(1)} s`;
    part("now").textContent = at ? `${at.v.toFixed(1)} m/s, ${why ? why[1] : ""}` : "ego is not on the road";
    part("events").textContent = past.join(", ");
    part("scrub").value = Math.round(tick);
  }

  function frame(time) {
    if (playing) {
      tick += Math.min((time - before) / 1000, 0.2) * rate / episode.tick;
      if (tick >= episode.last) { tick = episode.last; play(false); }
      draw();
    }
    before = time;
    requestAnimationFrame(frame);
  }

  const first = () => { const ego = episode.actors.find((actor) => actor.ego); return ego ? ego.from : 0; };

  function play(wanted) {
    playing = wanted;
    if (wanted && tick >= episode.last) tick = first();
    part("play").textContent = playing ? "Pause" : "Play";
  }
  function go(to) { tick = Math.max(0, Math.min(to, episode.last)); draw(); }
  function zoom(by) { view.scale *= by; draw(); }
  function choose(k) {
    shown = (k + episodes.length) % episodes.length;
    episode = unpack(episodes[shown]); tick = first(); play(false); close();
    part("scrub").max = episode.last;
    document.querySelectorAll(".picks button").forEach((button, at) => button.setAttribute("aria-pressed", at === shown));
    document.querySelectorAll("[data-episode]").forEach((box) => { box.hidden = Number(box.dataset.episode) !== shown; });
    part("cast").replaceChildren(...episode.actors.filter((actor) => actor.label).map((actor) => {
      const row = document.createElement("div"), mark = document.createElement("span");
      mark.textContent = "■ "; mark.style.color = actor.colour;
      row.append(mark, `${actor.label}: ${actor.kind}${actor.who ? ", " + actor.who : ""}`);
      return row;
    }));
    draw();
  }
  function setRate(value) { rate = value; part("rate").value = String(value); }
  function setFollow(value) { follow = value; part("follow").setAttribute("aria-pressed", follow); if (!follow) close(); draw(); }

  function setLayer(name) { layers[name] = !layers[name]; part(name).setAttribute("aria-pressed", layers[name]); draw(); }

  const RATES = [0.25, 0.5, 1, 2, 4];
  const KEYS = {
    " ": () => play(!playing), ArrowRight: (e) => go(Math.round(tick) + (e.shiftKey ? 10 : 1)), ArrowLeft: (e) => go(Math.round(tick) - (e.shiftKey ? 10 : 1)),
    Home: () => go(0), End: () => go(episode.last), "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), f: () => setFollow(!follow), 0: () => { whole(); draw(); },
    "[": () => setRate(RATES[Math.max(0, RATES.indexOf(rate) - 1)]), "]": () => setRate(RATES[Math.min(4, RATES.indexOf(rate) + 1)]),
    n: () => choose(shown + 1), p: () => choose(shown - 1), e: () => setLayer("percepts"), j: () => setLayer("futures"),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|BUTTON)$/.test(event.target.tagName) && event.key === " " || event.target.tagName === "SELECT") return;
    const act = KEYS[event.key];
    if (act) { event.preventDefault(); act(event); }
  });
  canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15); }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => { drag = [event.clientX, event.clientY]; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const ratio = canvas.width / canvas.clientWidth / view.scale;
    view.x -= (event.clientX - drag[0]) * ratio; view.y += (event.clientY - drag[1]) * ratio; drag = [event.clientX, event.clientY];
    draw();
  });
  canvas.addEventListener("pointerup", () => { drag = null; });
  part("play").addEventListener("click", () => play(!playing));
  part("scrub").addEventListener("input", (event) => { play(false); go(Number(event.target.value)); });
  part("rate").addEventListener("change", (event) => setRate(Number(event.target.value)));
  part("follow").addEventListener("click", () => setFollow(!follow));
  for (const name of Object.keys(layers)) part(name).addEventListener("click", () => setLayer(name));
  document.querySelectorAll(".picks button").forEach((button, k) => button.addEventListener("click", () => choose(k)));
  choose(0);
  requestAnimationFrame(frame);
})();
