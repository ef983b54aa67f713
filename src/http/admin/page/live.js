// Events as they arrive, and the ones before.

import { Feed, alarm, get, listing, stream } from './api.js';
import { subscribers } from './daemon.js';
import { badge, button, bytes, count, draw, h, link, query, row, some, time } from './dom.js';
import { field, moment, textField, topicField } from './fields.js';
import { amend } from './route.js';

/** Rows that are kept; older ones are reached by going on from the oldest. */
const KEPT = 500;
const PAGE = 100;

let filter = {};
let [rows, held, next, last, heardAt] = [[], [], undefined, 0, 0];
let [paused, looking, failed] = [false, false];
let connection = { state: 'connecting' };
let following;
/** Arrived while somebody looked. */
const fresh = new Set();

const list = new Feed(5000, taken);
const from = (before) => query('events', { ...filter, limit: PAGE, before });

const joined = (...lists) => [...new Map(lists.flat().map((event) => [event.seq, event])).values()].sort((a, b) => b.seq - a.seq);

function merge(events) {
  rows = joined(rows, events).slice(0, KEPT);
}

const hold = (events) => { held = joined(held, events).slice(0, KEPT); };

/** The newest page, for the first time or again: states of deliveries change. */
function taken({ events, next: more }) {
  const newest = rows[0]?.seq;
  last = Math.max(last, events[0]?.seq ?? 0);
  if (newest === undefined) {
    // Somebody may have looked further back, and found nothing.
    if (events.length > 0 || next === undefined) [rows, next] = [events, more];
  } else if (paused) {
    merge(events.filter((event) => rows.some((one) => one.seq === event.seq)));
    hold(events.filter((event) => event.seq > newest));
  } else if (more === null || events.length === 0 || events.at(-1).seq <= newest) merge(events);
  else [rows, next] = [events, more];
}

function arrived(id, event) {
  last = Math.max(last, Number(id) || event.seq);
  const q = filter.q.toLowerCase();
  if (![event.topic, event.type, event.delivery_id, event.id].some((text) => text?.toLowerCase().includes(q))) return;
  // The list, which knows of deliveries, may have been faster.
  if ([...rows, ...held].some((one) => one.seq === event.seq)) return;
  if (paused) hold([event]);
  else {
    if (fresh.size > KEPT) fresh.clear();
    fresh.add(event.seq);
    merge([event]);
  }
  draw();
}

async function older() {
  const asked = filter;
  [looking, failed] = [true];
  draw();
  try {
    // A page may be empty where much had to be looked through.
    for (let pages = 0, found = 0; pages < 10 && next !== null && !found; pages += 1) {
      const page = await get(from(next));
      if (filter !== asked) break;
      found = page.events.length;
      next = page.next;
      merge(page.events);
    }
  } catch (error) {
    failed = error;
  }
  looking = false;
  draw();
}

/** Keeps the stream open while somebody looks. */
async function follow(signal) {
  for (let wait = 1; !signal.aborted; wait = Math.min(wait * 2, 15)) {
    // After a long silence the newest page is shorter than all that was missed.
    if (Date.now() - heardAt > 60000) {
      last = subscribers.data?.last_seq ?? 0;
      await list.now();
    }
    let why = 'The daemon ended the stream.';
    try {
      await stream(query('events/tail', { topic: filter.topic, type: filter.type }), last ? String(last) : '', {
        signal, hear: arrived, beat: () => { heardAt = Date.now(); },
        open: () => {
          [connection, wait] = [{ state: 'live' }, 0.5];
          draw();
        },
      });
    } catch (error) {
      why = error.status === undefined ? 'The stream broke off.' : error.message;
    }
    if (signal.aborted) return;
    await new Promise((resolve) => {
      connection = { state: 'disconnected', why, again: new Date(Date.now() + wait * 1000).toISOString(), now: resolve };
      setTimeout(resolve, wait * 1000);
      draw();
    });
  }
}

function begin() {
  following?.abort();
  connection.now?.();
  if (document.hidden || filter.until) return;
  following = new AbortController();
  connection = { state: 'connecting' };
  follow(following.signal);
}

/** Holds back what arrives, or lets it in. */
export function togglePause() {
  paused = !paused;
  if (!paused) {
    merge(held);
    held = [];
  }
  draw();
}

export function enter({ query: { topic = '', type = '', q = '', until = '' } }) {
  const wanted = { topic, type, q, until };
  if (Object.keys(wanted).some((key) => wanted[key] !== filter[key])) {
    filter = wanted;
    [rows, held, next, last, heardAt, failed] = [[], [], undefined, 0, 0];
  }
  fresh.clear();
  list.start(from());
  document.addEventListener('visibilitychange', begin);
  begin();
}

export function leave() {
  document.removeEventListener('visibilitychange', begin);
  following?.abort();
  list.stop();
}

function line(event) {
  const href = link('event', [event.id]);
  return row({ key: event.seq, class: fresh.has(event.seq) ? 'row fresh' : 'row', href },
    [time(event.time), 'when'],
    [h('a.open', { href }, event.topic), 'name'],
    [event.type, 'kind'],
    [event.delivery_id, 'id'],
    [bytes(event.size), 'number size'],
    [[event.dead > 0 && badge('dead', `${count(event.dead)} dead`), event.retrying > 0 && badge('retrying', `${count(event.retrying)} retrying`)], 'state']);
}

const look = (label) => button(looking ? 'Looking…' : label, older, '', looking);

function end() {
  // The cursor goes on from the last page; with as many rows as are kept, that is not where the list ends.
  if (rows.length < KEPT) return next === null ? 'That is all.' : look('Load older');
  const until = new Date(Date.parse(rows.at(-1).time) + 1).toISOString();
  return [`${some(rows.length, 'event')} shown. `, h('a', { href: link('live', [], { ...filter, until }) }, 'Go on from the oldest')];
}

function standing() {
  if (filter.until) return h('a.button', { href: link('live', [], { ...filter, until: '' }) }, 'Back to live');
  const { state, why, again, now } = connection;
  return [
    state === 'disconnected' && h('span.muted', `${why} Trying again `, time(again), ' ', button('Try now', now, 'small')),
    badge(paused && state === 'live' ? 'paused' : state),
    button(paused ? `Resume (${count(held.length)} new)` : 'Pause', togglePause, '', false, paused)];
}

function nothing() {
  if (next !== null) return ['None so far. ', look('Look further back')];
  if (Object.values(filter).some(Boolean)) return 'No event matches.';
  return ['Nothing has been recorded yet. ', h('a', { href: '#/topics' }, 'Topics'), ' says where to post to.'];
}

export function view() {
  const change = (key) => (value) => amend({ [key]: value });
  return [
    h('div.head', h('h1', 'Live'), h('div.standing', { role: 'status' }, standing())),
    h('form.filter', { role: 'search' },
      topicField(filter.topic, change('topic')),
      field('Type', filter.type, change('type'), { placeholder: 'any' }),
      textField(filter.q, change('q')),
      moment('Before', filter.until, change('until')),
      h('a.button', { href: link('replay', [], filter) }, 'Replay these…')),
    listing(list, 'Events', ['Time', 'Topic', 'Type', 'Delivery id', ['Size', 'number'], 'Deliveries'], rows.map(line), nothing()),
    failed && alarm(failed),
    rows.length > 0 && h('p.end', end()),
  ];
}
