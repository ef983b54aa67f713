// Elements from data, and the difference between what is shown and what should be.
// What comes from an event only ever becomes a text node or an attribute: nothing is parsed as markup.

const DRAWN = new Set(['svg', 'polyline', 'polygon']);
const HANDLERS = ['onclick', 'onchange', 'oninput', 'onsubmit'];
const PROPERTIES = ['value', 'checked', 'indeterminate', 'key', ...HANDLERS];

const isThere = (value) => value !== undefined && value !== null && value !== false;

/** An element: `h('td.number', { title }, child, ...)`. Children that are nothing are left out. */
export function h(name, ...children) {
  const [tag, ...classes] = name.split('.');
  const props = children[0]?.constructor === Object ? children.shift() : {};
  const node = DRAWN.has(tag) ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
  if (classes.length) node.setAttribute('class', classes.join(' '));
  node.append(...children.flat(9).filter(isThere));
  for (const [key, value] of Object.entries(props).filter(([, value]) => isThere(value))) {
    if (PROPERTIES.includes(key)) node[key] = value;
    else node.setAttribute(key, value === true ? '' : value);
  }
  return node;
}

/** Children by their keys, or else by which they are of their kind. */
function keyed(parent) {
  const seen = {};
  const number = ({ nodeName }) => (seen[nodeName] = (seen[nodeName] ?? 0) + 1);
  return new Map([...parent.childNodes].map((child) => [child.key ?? `${child.nodeName} ${number(child)}`, child]));
}

/** Makes `old` look like `next`, touching as little as possible: focus, scrolling and selection stay. */
export function morph(old, next) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!next.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const name of HANDLERS) old[name] = next[name];
  const [had, wanted] = [keyed(old), keyed(next)];
  for (const [key, child] of had) if (wanted.get(key)?.nodeName !== child.nodeName) child.remove();
  let at = old.firstChild;
  for (const [key, want] of wanted) {
    const have = had.get(key);
    if (have?.nodeName !== want.nodeName) old.insertBefore(want, at);
    else {
      if (have === at) at = at.nextSibling;
      else old.insertBefore(have, at);
      morph(have, want);
    }
  }
  if ('value' in old && old.value !== next.value && old !== document.activeElement) old.value = next.value;
  if ('checked' in old) [old.checked, old.indeterminate] = [next.checked, next.indeterminate];
}

/** A table; a heading is a text, or `[text, class]`. On a narrow screen its rows become cards. */
export function table(label, headings, rows) {
  const head = headings.map((heading) => [heading].flat());
  for (const line of rows) [...line.cells].forEach((cell, at) => { cell.dataset.label = head[at][0]; });
  return h('div.scroll', h('table', { 'aria-label': label },
    h('thead', h('tr', head.map(([text, style]) => h('th', { scope: 'col', class: style }, text)))),
    h('tbody', rows)));
}

/** A row; a cell is a child, or `[child, class]`. `href`: where a click leads, as the link in the row does for the keyboard. */
export function row({ href, ...props }, ...cells) {
  const onclick = href && (({ target }) => {
    if (!target.closest('a, button, input') && getSelection().isCollapsed) location.hash = href;
  });
  return h('tr', { onclick, ...props }, cells.map((cell) => {
    const [child, style] = Array.isArray(cell) ? cell : [cell];
    const td = h('td', { class: style }, child);
    // These are cut off where there is no room.
    if (['name', 'kind', 'id'].includes(style)) td.title = td.textContent;
    return td;
  }));
}

/** `pressed`: what it does is so, or is not; nothing where it is no such button. */
export const button = (label, onclick, style, disabled, pressed) => h('button', {
  type: 'button', class: style, onclick, disabled, 'aria-pressed': pressed?.toString(),
}, label);

/** A box that puts a key into a set, or takes it out. */
export function check(set, key, changed, label) {
  const onchange = ({ target }) => {
    set[target.checked ? 'add' : 'delete'](key);
    changed();
  };
  return h('input', { type: 'checkbox', checked: set.has(key), onchange, 'aria-label': label });
}

/** A part of a view with a heading, and what stands beside it. */
export function section(id, heading, beside, ...children) {
  return h('section', { 'aria-labelledby': id }, h('div.head', h('h2', { id }, heading), beside), children);
}

/** A length of time in its largest unit. */
export function span(seconds) {
  if (seconds > 0 && seconds < 1) return `${Math.ceil(seconds * 1000)} ms`;
  const [unit, size] = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]].find(([, least]) => seconds >= least) ?? ['s', 1];
  return `${Math.floor(seconds / size)} ${unit}`;
}

function relative(iso) {
  const seconds = (Date.now() - Date.parse(iso)) / 1000;
  if (Math.abs(seconds) < 1) return 'now';
  return seconds > 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
}

/** A moment: how long ago, and exactly in the title. */
export function time(iso) {
  return h('time', { datetime: iso, title: `${iso}\n${new Date(iso)}` }, relative(iso));
}

export function tick() {
  for (const node of document.querySelectorAll('time')) {
    const text = relative(node.dateTime);
    if (node.firstChild.data !== text) node.firstChild.data = text;
  }
}

const whole = new Intl.NumberFormat('en');
export const count = (number) => whole.format(number);
export const some = (number, word) => `${count(number)} ${word}${number === 1 ? '' : 's'}`;

export function bytes(number) {
  if (number < 1024) return `${number} B`;
  return number < 1048576 ? `${(number / 1024).toFixed(1)} KiB` : `${(number / 1048576).toFixed(1)} MiB`;
}

const TONES = {
  delivered: 'good', running: 'good', ok: 'good', active: 'good', done: 'good', live: 'good',
  retrying: 'warn', paused: 'warn', dead: 'bad', failing: 'bad', unconfigured: 'bad', disconnected: 'bad',
};
/** A state in a word, with a colour; or the colour of a state with another text. */
export const badge = (state, text) => h('span.badge', { 'data-tone': TONES[state] }, text ?? state.replaceAll('_', ' '));
/** The status of an answer. */
export const status = (code, text) => badge(code < 300 ? 'ok' : code < 500 ? 'retrying' : 'dead', text ?? String(code));

export const empty = (...children) => h('p.empty', children);
export const fact = (name, ...value) => h('div', h('dt', name), h('dd', value));

/** `path` with those of `keys` that are set. */
export function query(path, keys) {
  const set = Object.entries(keys).filter(([, value]) => value);
  return set.length ? `${path}?${new URLSearchParams(set)}` : path;
}

/** The address of a view: `link('live', [], { topic })`. */
export const link = (view, path = [], keys = {}) => query(`#/${[view, ...path.map(encodeURIComponent)].join('/')}`, keys);

let paint = () => {};
let waiting;
let free = 0;

export function onDraw(work) {
  paint = work;
}

/** Asks for the view to be drawn. Asking often costs nothing. */
export function draw() {
  waiting ??= setTimeout(() => requestAnimationFrame(() => {
    waiting = undefined;
    const began = performance.now();
    paint();
    free = performance.now() + 4 * (performance.now() - began);
  }), free - performance.now());
}
