// The page of the admin listener: which view is shown, the keyboard, the theme, and what is said in every view.

import { forgetActions } from './actions.js';
import { reach } from './api.js';
import { subscribed, subscribers, topics } from './daemon.js';
import { help } from './dialogs.js';
import { draw, h, link, morph, onDraw, some, span, tick } from './dom.js';
import { current, onRoute } from './route.js';
import * as live from './live.js';
import * as event from './event.js';
import * as subscribersView from './subscribers.js';
import * as dead from './dead.js';
import * as replay from './replay.js';
import * as topicsView from './topics.js';
import * as rejections from './rejections.js';

const VIEWS = { live, event, subscribers: subscribersView, dead, replay, topics: topicsView, rejections };
const main = document.querySelector('main');
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
  if (arrival) arrive(arrival);
  // What had the focus is gone, such as a button of a row.
  else if (had && document.activeElement === document.body) main.focus({ preventScroll: true });
  arrival = undefined;
  status();
}

function arrive({ first, scroll, key }) {
  scrollTo(0, scroll);
  const back = [...main.querySelectorAll('tr')].find((row) => key !== undefined && row.key === key);
  if (back || !first) (back?.querySelector('a.open') ?? main).focus({ preventScroll: true });
}

const by = (id) => document.getElementById(id);
function say(id, text, title = '') {
  const node = by(id);
  if (node.textContent !== text) node.textContent = text;
  node.title = title;
}

function status() {
  const { data, error } = subscribers;
  const failing = subscribed().filter(({ state }) => state === 'failing').length;
  const dead = subscribed().reduce((sum, one) => sum + one.dead, 0);
  say('failing', failing ? String(failing) : '', 'failing');
  say('dead', dead > 999 ? '999+' : dead ? String(dead) : '', some(dead, 'dead letter'));
  document.title = `${dead ? `(${dead}) ` : ''}${main.querySelector('h1')?.textContent ?? ''} – forebay`;
  const silence = reach.at ? `no answer for ${span((Date.now() - reach.at) / 1000)}` : 'no answer';
  say('reach', error ? (error.status ? error.message : silence) : data ? 'connected' : '');
  by('reach').dataset.tone = error ? 'bad' : 'good';
}

const THEMES = { auto: ['◐', 'as the system'], light: ['○', 'light'], dark: ['●', 'dark'] };
/** `turn`: to the next one. A browser may forbid storage; what was chosen then lasts as long as the page. */
function theme(turn) {
  const names = Object.keys(THEMES);
  let name = document.documentElement.dataset.theme;
  try { name ??= localStorage.getItem('forebay-theme'); } catch {}
  name = names[(Math.max(names.indexOf(name), 0) + turn) % names.length];
  document.documentElement.dataset.theme = name;
  try { localStorage.setItem('forebay-theme', name); } catch {}
  const [sign, title] = THEMES[name];
  say('theme', sign, `Theme: ${title}`);
  by('theme').setAttribute('aria-label', `Theme: ${title}`);
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
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector('dialog')) return;
  if (event.target.matches('input:not([type=checkbox]), select, textarea') && event.key !== 'Escape') return;
  const place = places[Number(event.key) - 1];
  if (place) place.click();
  else if (Object.hasOwn(KEYS, event.key)) KEYS[event.key]();
  else return;
  event.preventDefault();
});

theme(0);
by('theme').onclick = () => theme(1);
by('keys').onclick = help;
history.scrollRestoration = 'manual';
setInterval(() => document.hidden || tick(), 1000);
onDraw(paint);
onRoute(route);
subscribers.start('subscribers');
topics.start('topics');
route();
