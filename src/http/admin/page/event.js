// One event: what came in, what became of it, and delivering it again.

import { Feed, getBytes, notice, post } from './api.js';
import { action, copier, outcome, perform } from './actions.js';
import { readable } from './body.js';
import { badge, button, bytes, check, count, draw, empty, fact, h, link, row, section, span, table, time } from './dom.js';

/** Bodies up to this size are shown unasked. */
const SHOWN = 128 * 1024;
/** Larger ones than this are not shown at all: a browser is slow with them. */
const SHOWABLE = 2 * 1024 * 1024;

let id = '';
let [body, raw, chosen] = [{}, false, new Set()];
const feed = new Feed(3000, (event) => {
  if (!body.asked && event.retained && event.body_bytes <= SHOWN) show();
});
const path = (rest = '') => `events/${encodeURIComponent(id)}${rest}`;

export function enter({ path: [asked] }) {
  if (!asked && id) return location.replace(link('event', [id]));
  if (asked && asked !== id) {
    id = asked;
    [body, raw, chosen] = [{}, false, new Set()];
  }
  if (id) feed.start(path());
}

export const leave = () => feed.stop();

async function bytesOf(mine) {
  mine.asked = true;
  mine.buffer ??= await getBytes(path('/body'));
  return mine.buffer;
}

const show = () => perform('body', async () => {
  const mine = body;
  mine.shown = readable(await bytesOf(mine), feed.data.content_type ?? '');
});

async function download() {
  const name = `${id}.${body.shown?.kind ?? 'bin'}`;
  const url = URL.createObjectURL(new Blob([await bytesOf(body)], { type: 'application/octet-stream' }));
  h('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

async function replay() {
  const { replays } = await post(path('/replay'), { subscribers: [...chosen] });
  chosen = new Set();
  feed.now();
  return `Goes again to ${replays.map((one) => one.subscriber).join(', ')}.`;
}

const took = (attempt) => (attempt.duration_seconds === null ? '–' : span(attempt.duration_seconds));

function attempts(all) {
  const [first] = all;
  if (all.length === 1 && first.result === 'ok') {
    return h('p.muted', 'At the first attempt', first.time && [', ', time(first.time)],
      first.status && `, status ${first.status}`, first.duration_seconds !== null && `, in ${took(first)}`);
  }
  return all.length > 0 && table('Attempts', [['#', 'number'], 'Time', 'Result', ['Status', 'number'], ['Took', 'number'], ['Reason and answer', 'wide']], all.map((one) => row({ key: one.number },
    [count(one.number), 'number'],
    [one.time ? time(one.time) : '–', 'when'],
    [badge(one.result === 'ok' ? 'ok' : 'dead', one.result), 'name'],
    [one.status ?? '–', 'number'],
    [took(one), 'number'],
    [[one.reason, one.answer && h('pre.answer', { tabindex: 0 }, one.answer)], 'wide'])));
}

function delivery({ subscriber, state, due, reason, attempts: all }) {
  const what = { dead: 'given up ', retrying: 'next attempt ' }[state];
  return h('article.delivery', { key: subscriber },
    h('div.line',
      h('label', check(chosen, subscriber, draw), h('strong', subscriber)), badge(state),
      due && h('span.muted', what, time(due)),
      state === 'dead' && h('a', { href: link('dead', [], { subscriber }) }, 'dead letters')),
    reason && h('p.reason', reason),
    attempts(all));
}

function content(event) {
  const { shown } = body;
  const text = raw ? shown?.raw : shown?.text;
  const turn = () => {
    raw = !raw;
    draw();
  };
  return section('body', ['Body ', h('small', event.content_type ?? 'no content type', ', ', bytes(event.body_bytes))],
    event.retained && h('div.actions',
      shown && shown.raw !== shown.text && button('As sent', turn, 'small', false, raw),
      action('download', 'Download', download, 'small')),
    !event.retained && empty('Retention has removed headers and body.'),
    event.retained && !shown && event.body_bytes > SHOWN && empty(event.body_bytes > SHOWABLE ? 'Too large to show.' : button('Show', show)),
    outcome('body'),
    shown && shown.raw === undefined && empty('These bytes are not text.'),
    text === '' && empty('It is empty.'),
    text && h('pre.body', { tabindex: 0 }, text));
}

export function view() {
  const event = feed.data;
  const title = h('h1', event?.topic || 'Event', event?.type && h('span.muted', ` ${event.type}`));
  if (!id) return [title, empty('Open an event of the ', h('a', { href: '#/live' }, 'live view'), ', which also finds one by its id.')];
  return [
    title,
    notice(feed),
    event && [
      h('dl.facts',
        fact('Id', h('code', event.id), ' ', copier('id', event.id)),
        fact('Received', time(event.time), h('span.muted', ` ${event.time}`)),
        event.delivery_id && fact('Delivery id', h('code', event.delivery_id)),
        fact('Number', count(event.seq)),
        fact('Size in the journal', bytes(event.size))),
      section('deliveries', 'Deliveries',
        event.retained && event.deliveries.length > 0 && action('replay', `Replay to ${[...chosen].join(', ') || 'chosen subscribers'}`, replay, '', chosen.size === 0),
        event.deliveries.length ? event.deliveries.map(delivery) : empty('No subscriber wants it.')),
      h('div.columns', content(event), headers(event.headers))],
  ];
}

export function headers(all) {
  return section('headers', 'Headers', null, h('dl.headers', Object.entries(all).map(([name, value]) => fact(name, value))));
}
