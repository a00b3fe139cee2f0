/* page.js - moving about in the drawing, search, and what is told of an item. Plain ES2017, nothing loaded.
 *
 * State is the view's place (x, y, scale) and the chosen item; everything on the right is made anew from the data. Texts of
 * the model are put in by textContent only. From afar details are left out (classes far, vfar) and groups out of sight are
 * switched off, so that thousands of nodes move smoothly.
 */
(() => {
  'use strict';
  const SVG = 'http://www.w3.org/2000/svg';
  const store = document.getElementById('data');
  const data = JSON.parse(store.textContent);
  const view = document.getElementById('view');
  const scene = document.getElementById('scene');
  const side = document.getElementById('side');
  const width = +store.dataset.w, height = +store.dataset.h;
  const MIN_FAR = 0.5, MIN_VFAR = 0.22, MAX_HITS = 300;

  const tiles = Array.from(document.querySelectorAll('.t'), g => ({ g, y: g.dataset.y.split(' ').map(Number), on: true }));
  const nodes = new Map(Array.from(scene.querySelectorAll('.n'), g => [+g.dataset.i, g]));
  const edges = new Map();
  for (const p of scene.querySelectorAll('.e')) {
    const v = +p.dataset.v;
    if (!edges.has(v)) edges.set(v, []);
    edges.get(v).push(p);
  }
  const readers = new Map(); /* value -> items */
  data.items.forEach((it, i) => (it.i || []).forEach(([, v]) => {
    if (!readers.has(v)) readers.set(v, []);
    readers.get(v).push(i);
  }));

  /* --- the view ------------------------------------------------------------------------------ */
  let x = 0, y = 0, scale = 1, waiting = false, chosen = -1, hits = [], hit = -1;

  const show = () => {
    waiting = false;
    scene.setAttribute('transform', `translate(${x} ${y}) scale(${scale})`);
    view.style.setProperty('--line', 0.8 / scale + 'px');
    view.classList.toggle('far', scale < MIN_FAR);
    view.classList.toggle('vfar', scale < MIN_VFAR);
    const top = -y / scale - 50, bottom = top + view.clientHeight / scale + 100;
    for (const t of tiles) {
      const on = t.y[1] >= top && t.y[0] <= bottom;
      if (on !== t.on) t.g.style.display = (t.on = on) ? '' : 'none';
    }
  };
  const later = () => { if (!waiting) { waiting = true; requestAnimationFrame(show); } };
  const zoom = (by, cx, cy) => {
    const s = Math.min(4, Math.max(0.01, scale * by));
    x = cx - (cx - x) * s / scale;
    y = cy - (cy - y) * s / scale;
    scale = s;
    later();
  };
  const zoomMiddle = by => zoom(by, view.clientWidth / 2, view.clientHeight / 2);
  const fit = whole => {
    const w = view.clientWidth, h = view.clientHeight;
    scale = Math.min(1.25, w / width, h / height);
    if (!whole && scale < 0.8) { /* too large to read as a whole: begin at the top, with the first input in sight */
      const first = data.items.filter(it => it.r === 'input' && it.g === 0).map(it => it.p).sort((a, b) => a[1] - b[1])[0] || [0, 0, width, 0];
      scale = 1;
      x = width <= w ? (w - width) / 2 : w / 2 - first[0] - first[2] / 2;
      y = first[1] < h * 0.7 ? 8 : h / 3 - first[1];
    } else {
      x = (w - width * scale) / 2;
      y = (h - height * scale) / 2;
    }
    show();
  };
  const centre = i => {
    const [bx, by, bw, bh] = data.items[i].p;
    scale = Math.max(scale, 0.8);
    x = view.clientWidth / 2 - (bx + bw / 2) * scale;
    y = view.clientHeight / 2 - (by + Math.min(bh, 200) / 2) * scale;
    show();
  };

  /* --- building the right side ----------------------------------------------------------------- */
  const make = (tag, props, ...inside) => {
    const e = Object.assign(document.createElement(tag), props);
    e.append(...inside);
    return e;
  };
  const table = rows => make('table', {}, make('tbody', {}, ...rows.map(([a, b]) => make('tr', {}, make('td', { title: a }, a), make('td', {}, b)))));
  const titled = it => it.r === 'node' ? it.o : it.n;
  const link = (text, to) => make('button', { onclick: () => { choose(to); centre(to); } }, text);
  const number = v => v === null ? '–' : Number(v.toPrecision(5)).toString();

  const histogram = h => {
    const svg = document.createElementNS(SVG, 'svg'), most = Math.max(...h, 1);
    svg.setAttribute('class', 'hist');
    svg.setAttribute('viewBox', `0 0 ${h.length} 1`);
    svg.setAttribute('preserveAspectRatio', 'none');
    h.forEach((n, i) => {
      const r = document.createElementNS(SVG, 'rect');
      for (const [k, v] of [['x', i + 0.05], ['width', 0.9], ['y', 1 - n / most], ['height', n / most]]) r.setAttribute(k, v);
      svg.append(r);
    });
    return svg;
  };
  const constant = c => {
    const out = [];
    if (c.t !== undefined) out.push(make('div', {}, '= ' + c.t));
    if (c.s && c.c > 1) {
      const [min, max, mean, std, zero, nan, inf] = c.s;
      out.push(histogram(c.h));
      out.push(table([['elements', c.c.toLocaleString('en') + ' (' + c.b.toLocaleString('en') + ' bytes)'],
        ['range', number(min) + ' … ' + number(max)], ['mean ± deviation', number(mean) + ' ± ' + number(std)],
        ['zeros', (100 * zero / c.c).toFixed(1) + ' %']]));
      if (nan || inf) out.push(make('div', { className: 'bad' }, `${nan} NaN, ${inf} infinite`));
    }
    return out;
  };
  const valueRow = ([param, v]) => {
    const [name, type, item, c] = data.values[v];
    const box = make('div', {}, item >= 0 ? link(name, item) : name, make('div', { className: 'dim' }, type));
    if (c) box.append(...constant(c));
    return [param, box];
  };
  const section = (title, rows) => rows.length ? [make('h2', {}, title), table(rows)] : [];

  const aboutItem = i => {
    const it = data.items[i], out = [make('h1', {}, titled(it))];
    const rows = [];
    if (it.r !== 'node') rows.push(['role', { input: 'input of the graph', output: 'output of the graph', outer: 'value of the enclosing graph' }[it.r]]);
    if (it.r === 'node') rows.push(['name', it.n || '(none)'], ['domain', it.d || 'ai.onnx'], ['version', String(it.v)], ['kind', data.kinds[it.k]]);
    if (it.at) rows.push(['file offset', it.at.toLocaleString('en')]);
    if (it.doc) rows.push(['text', it.doc]);
    const owner = data.graphs[it.g][1];
    if (owner >= 0) rows.push(['inside', make('span', {}, link(titled(data.items[owner]), owner), ' · ' + data.graphs[it.g][0])]);
    out.push(table(rows), ...section('attributes', it.a || []), ...section('inputs', (it.i || []).map(valueRow)), ...section('outputs', (it.u || []).map(valueRow)));
    const below = new Set();
    (it.u || []).forEach(([, v]) => (readers.get(v) || []).forEach(r => below.add(r)));
    if (below.size) out.push(make('h2', {}, 'read by'), ...Array.from(below).slice(0, 50).map(r => make('div', {}, link(titled(data.items[r]), r), make('span', { className: 'dim' }, ' ' + (data.items[r].o ? data.items[r].n : '')))));
    return out;
  };
  const aboutModel = () => {
    const counts = new Map();
    for (const it of data.items) if (it.r === 'node') counts.set(it.o, (counts.get(it.o) || 0) + 1);
    const ops = Array.from(counts).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    const ends = role => {
      const found = data.items.filter(it => it.r === role && it.g === 0);
      return found.length ? [make('h2', {}, role + 's'), ...found.map(it => valueRow(['', (it.u || it.i)[0][1]])[1])] : [];
    };
    const most = ops.length ? ops[0][1] : 1, kindOf = new Map(data.items.map(it => [it.o, it.k]));
    const colour = i => { const s = scene.querySelector('.s' + i); return s ? getComputedStyle(s).fill : ''; };
    const opRow = ([o, n]) => {
      const bar = make('i', {}), row = make('button', { className: 'op', onclick: () => { box.value = o; search(); } }, make('span', {}, o), make('b', {}, String(n)), bar);
      bar.style.width = 100 * n / most + '%';
      bar.style.background = colour(kindOf.get(o));
      return row;
    };
    const legend = data.kinds.map((k, i) => [k, i]).filter(([k]) => k && k !== 'inputs, outputs').map(([k, i]) => {
      const key = make('span', { className: 'key' });
      key.style.background = colour(i);
      return make('div', {}, key, k);
    });
    return [make('h1', {}, data.title), make('div', { className: 'dim' }, data.about),
      ...ends('input'), ...ends('output'), ...section('model', data.meta), make('h2', {}, 'colours'), make('div', { className: 'legend' }, ...legend),
      make('h2', {}, 'operators'), ...ops.map(opRow),
      make('h2', {}, 'keys'), table([['search', make('kbd', {}, '/')], ['next, previous hit', make('span', {}, make('kbd', {}, 'Enter'), ' ', make('kbd', {}, 'Shift+Enter'))],
        ['zoom, whole', make('span', {}, make('kbd', {}, '+'), ' ', make('kbd', {}, '-'), ' ', make('kbd', {}, '0'))],
        ['along the graph', make('span', {}, make('kbd', {}, '↑'), ' ', make('kbd', {}, '↓'), ' ', make('kbd', {}, '←'), ' ', make('kbd', {}, '→'))], ['back', make('kbd', {}, 'Esc')]])];
  };
  const aboutHits = () => [make('h2', {}, hits.length + ' found'), ...hits.slice(0, MAX_HITS).map((i, n) => {
    const it = data.items[i];
    return make('button', { className: 'row', onclick: () => { hit = n; choose(i); centre(i); } }, titled(it), make('span', { className: 'dim' }, ' ' + (it.o ? it.n : it.r)));
  })];

  const box = make('input', { type: 'search', placeholder: 'Search name, operator, value  ( / )', id: 'search' });
  box.setAttribute('aria-label', 'search');
  const about = make('div', { id: 'about' });
  const button = (text, title, onclick) => make('button', { title, onclick }, text);
  side.append(box, make('div', { className: 'bar' }, button('−', 'zoom out', () => zoomMiddle(0.8)), button('+', 'zoom in', () => zoomMiddle(1.25)),
    button('whole', 'the whole drawing', () => fit(true)), button('model', 'about the model', () => choose(-1))), about);

  /* --- choosing and searching -------------------------------------------------------------------- */
  const mark = on => {
    if (chosen < 0) return;
    const it = data.items[chosen];
    nodes.get(chosen).classList.toggle('sel', on);
    for (const [, v] of [...(it.i || []), ...(it.u || [])]) for (const p of edges.get(v) || []) p.classList.toggle('sel', on);
  };
  const choose = i => {
    mark(false);
    chosen = i;
    mark(true);
    about.replaceChildren(...(i >= 0 ? aboutItem(i) : hits.length ? aboutHits() : aboutModel()));
    side.scrollTop = 0;
  };
  const search = () => {
    for (const i of hits) nodes.get(i).classList.remove('hit');
    const q = box.value.trim().toLowerCase(), has = s => s && s.toLowerCase().includes(q);
    hits = !q ? [] : data.items.map((it, i) => i).filter(i => {
      const it = data.items[i];
      return has(it.o) || has(it.n) || has(it.d) || (it.i || []).concat(it.u || []).some(([, v]) => has(data.values[v][0]));
    });
    hit = -1;
    for (const i of hits) nodes.get(i).classList.add('hit');
    choose(-1);
    if (q && !hits.length) about.replaceChildren(make('h2', {}, 'nothing found'));
  };
  const step = by => {
    if (!hits.length) return;
    hit = (hit + by + hits.length) % hits.length;
    choose(hits[hit]);
    centre(hits[hit]);
  };
  const along = (dx, dy) => {
    if (chosen < 0) { if (data.items.length) { choose(0); centre(0); } return; }
    const it = data.items[chosen];
    let to = -1;
    if (dy < 0) to = (it.i || []).map(([, v]) => data.values[v][2]).find(i => i >= 0);
    if (dy > 0) to = (it.u || []).map(([, v]) => (readers.get(v) || [])[0]).find(i => i >= 0);
    if (dx) {
      let best = Infinity;
      data.items.forEach((o, i) => {
        const away = (o.p[0] - it.p[0]) * dx, cost = away + 4 * Math.abs(o.p[1] - it.p[1]);
        if (i !== chosen && o.g === it.g && away > 0 && cost < best) { best = cost; to = i; }
      });
    }
    if (to >= 0) { choose(to); centre(to); }
  };

  /* --- events --------------------------------------------------------------------------------------- */
  box.addEventListener('input', search);
  view.addEventListener('wheel', e => {
    e.preventDefault();
    if (e.ctrlKey || e.metaKey || e.deltaMode === 0 && !e.shiftKey && Math.abs(e.deltaX) < Math.abs(e.deltaY)) zoom(Math.exp(-e.deltaY * 0.0018), e.offsetX, e.offsetY);
    else { x -= e.deltaX || e.deltaY; later(); }
  }, { passive: false });
  let from = null;
  view.addEventListener('pointerdown', e => { from = { x: e.clientX, y: e.clientY, moved: false }; });
  view.addEventListener('pointermove', e => {
    if (!from || !e.buttons) return;
    const dx = e.clientX - from.x, dy = e.clientY - from.y;
    if (!from.moved && Math.abs(dx) + Math.abs(dy) < 4) return;
    if (!from.moved) view.setPointerCapture(e.pointerId);
    x += dx; y += dy;
    from = { x: e.clientX, y: e.clientY, moved: true };
    view.classList.add('drag');
    later();
  });
  view.addEventListener('pointerup', () => { view.classList.remove('drag'); });
  view.addEventListener('click', e => {
    if (from && from.moved) return;
    const g = e.target.closest('.n'), p = e.target.closest('.e');
    if (g) choose(+g.dataset.i);
    else if (p && data.values[+p.dataset.v][2] >= 0) choose(data.values[+p.dataset.v][2]);
    else choose(-1);
  });
  const keys = {
    '/': () => { box.focus(); box.select(); }, '+': () => zoomMiddle(1.25), '=': () => zoomMiddle(1.25), '-': () => zoomMiddle(0.8), '0': () => fit(true),
    ArrowUp: () => along(0, -1), ArrowDown: () => along(0, 1), ArrowLeft: () => along(-1, 0), ArrowRight: () => along(1, 0),
    Enter: () => step(1), Escape: () => { if (chosen >= 0) choose(-1); else { box.value = ''; search(); } }
  };
  document.addEventListener('keydown', e => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (document.activeElement === box) {
      if (e.key === 'Enter') step(e.shiftKey ? -1 : 1);
      if (e.key === 'Escape') { box.value = ''; search(); box.blur(); }
      return;
    }
    if (document.activeElement && document.activeElement.tagName === 'BUTTON' && e.key === 'Enter') return;
    if (keys[e.key]) { e.preventDefault(); keys[e.key](); }
  });
  window.addEventListener('resize', later);
  window.addEventListener('beforeprint', () => {
    view.setAttribute('viewBox', `0 0 ${width} ${height}`);
    scene.removeAttribute('transform');
    view.classList.remove('far', 'vfar');
  });
  window.addEventListener('afterprint', () => { view.removeAttribute('viewBox'); show(); });
  fit(false);
  choose(-1);
})();
