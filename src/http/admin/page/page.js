// The page of the admin listener: which view is shown, the keyboard, the theme, and what is said in every view.

import { forgetActions } from './actions.js';
import { enterToken, reach } from './api.js';
import { subscribers } from './daemon.js';
import { help } from './dialogs.js';
import { count, draw, h, link, morph, onDraw, span, tick } from './dom.js';
import { current, onRoute } from './route.js';
import * as live from './live.js';
import * as event from './event.js';
import * as subscribersView from './subscribers.js';
import * as dead from './dead.js';
import * as replay from './replay.js';
import * as topics from './topics.js';
import * as rejections from './rejections.js';

const VIEWS = { live, event, subscribers: subscribersView, dead, replay, topics, rejections };
const main = document.getElementById('main');
const places = [...document.querySelectorAll('nav a')];

let at;
/** Where the reader was in the list from which something was opened. */
let list;
let arrival;

function route() {
  const to = current();
  if (!Object.hasOwn(VIEWS, to.view)) {
    location.replace(link('live'));
    return;
  }
  if (at?.view !== to.view || at.path.join() !== to.path.join()) {
    if (at && to.path.length) list = { hash: at.hash, scroll: scrollY, key: document.activeElement.closest('tr')?.key };
    forgetActions();
    arrival = { first: !at, ...(list?.hash === location.hash ? list : { scroll: 0 }) };
  }
  if (at && at.view !== to.view) VIEWS[at.view].leave();
  at = { ...to, hash: location.hash };
  for (const place of places) {
    if (place.hash !== link(to.view)) place.removeAttribute('aria-current');
    else {
      place.setAttribute('aria-current', 'page');
      place.scrollIntoView({ block: 'nearest', inline: 'center' });
    }
  }
  VIEWS[at.view].enter(to);
  draw();
}

function paint() {
  const had = main.contains(document.activeElement);
  const next = h('main', { id: 'main', tabindex: -1, 'data-view': at.view }, VIEWS[at.view].view());
  morph(main, next);
  if (arrival) arrive();
  // What had the focus is gone, such as a button of a row.
  else if (had && document.activeElement === document.body) main.focus({ preventScroll: true });
  status();
}

function arrive() {
  const { first, scroll, key } = arrival;
  arrival = undefined;
  scrollTo(0, scroll);
  const back = key !== undefined && [...main.querySelectorAll('tr')].find((row) => row.key === key);
  if (back) back.querySelector('a.open')?.focus({ preventScroll: true });
  else if (!first) main.focus({ preventScroll: true });
}

function badgeOf(id, number, word) {
  const node = document.getElementById(id);
  node.hidden = number === 0;
  node.textContent = number > 999 ? '999+' : String(number);
  node.title = `${count(number)} ${word}`;
}

function status() {
  const all = subscribers.data?.subscribers ?? [];
  const dead = all.reduce((sum, one) => sum + one.dead, 0);
  badgeOf('failing', all.filter((one) => one.state === 'failing').length, 'failing');
  badgeOf('dead', dead, 'dead letters');
  const heading = main.querySelector('h1')?.textContent ?? '';
  document.title = `${dead ? `(${dead}) ` : ''}${heading} – forebay`;
  const { error } = subscribers;
  const node = document.getElementById('reach');
  node.dataset.tone = error ? 'bad' : 'good';
  let said = subscribers.data ? 'connected' : '';
  if (error?.status === 401) said = 'no token';
  else if (error) said = reach.at ? `no answer for ${span((Date.now() - reach.at) / 1000)}` : 'no answer';
  if (node.textContent !== said) node.textContent = said;
}

const THEMES = { auto: 'Theme: as the system', light: 'Theme: light', dark: 'Theme: dark' };
function theme(next) {
  document.documentElement.dataset.theme = next;
  const button = document.getElementById('theme');
  button.textContent = { auto: '◐', light: '○', dark: '●' }[next];
  button.title = THEMES[next];
  button.setAttribute('aria-label', THEMES[next]);
}

function remembered() {
  try { return localStorage.getItem('forebay-theme') ?? 'auto'; } catch { return 'auto'; }
}

function turnTheme() {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length];
  theme(next);
  try { localStorage.setItem('forebay-theme', next); } catch { /* forgotten with the tab */ }
}

/** To the next row (1) or the one before (-1). */
function step(by) {
  const links = [...main.querySelectorAll('a.open')];
  const here = links.indexOf(document.activeElement.closest('tr')?.querySelector('a.open'));
  const to = links[Math.min(Math.max(here + by, 0), links.length - 1)];
  to?.focus();
  to?.closest('tr').scrollIntoView({ block: 'nearest' });
}

function escape() {
  const field = document.activeElement;
  if (field.matches('input, select, textarea')) field.blur();
  else if (at.path.length) location.hash = list?.hash ?? link(at.view === 'event' ? 'live' : at.view);
}

const KEYS = {
  j: () => step(1), k: () => step(-1), Escape: escape, '?': help,
  p: () => at.view === 'live' && live.togglePause(),
  '/': () => main.querySelector('input[type=search]')?.focus(),
};

// Forms are for the page, which has nowhere to send them.
document.addEventListener('submit', (event) => event.preventDefault());
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector('dialog[open]')) return;
  if (event.target.matches('input:not([type=checkbox]), select, textarea') && event.key !== 'Escape') return;
  const place = places[Number(event.key) - 1];
  if (place) place.click();
  else if (Object.hasOwn(KEYS, event.key)) KEYS[event.key]();
  else return;
  event.preventDefault();
});

theme(Object.hasOwn(THEMES, remembered()) ? remembered() : 'auto');
document.getElementById('theme').onclick = turnTheme;
document.getElementById('keys').onclick = help;
document.getElementById('reach').onclick = () => subscribers.error?.status === 401 && enterToken();
history.scrollRestoration = 'manual';
setInterval(() => document.hidden || tick(), 1000);
onDraw(paint);
onRoute(route);
subscribers.start('subscribers');
route();
