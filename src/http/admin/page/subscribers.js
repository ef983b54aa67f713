// Who is owed what, and how it moves.

import { action } from './actions.js';
import { notice, post } from './api.js';
import { GAP, history, subscribers } from './daemon.js';
import { badge, count, empty, fact, h, link, span, time } from './dom.js';

export const enter = () => subscribers.now();
export const leave = () => {};

const REACH = 600000;
/** A line of what was seen in the last ten minutes; it breaks where nobody looked. */
function plot(label, past, value, say) {
  const most = Math.max(1, ...past.map(value));
  const lines = [[]];
  past.forEach((sample, at) => {
    if (at && sample.at - past[at - 1].at > GAP) lines.push([]);
    const x = 200 - ((Date.now() - sample.at) / REACH) * 200;
    lines.at(-1).push([x.toFixed(1), (34 - (value(sample) / most) * 32).toFixed(1)]);
  });
  const caption = `${label} up to ${say(Math.max(0, ...past.map(value)))}`;
  return h('figure', h('figcaption', caption),
    h('svg', { viewBox: '0 0 200 36', preserveAspectRatio: 'none', role: 'img', 'aria-label': `${caption} in the last ten minutes` },
      lines.filter((line) => line.length > 1).map((line) => [
        h('polygon', { points: `${line[0][0]},36 ${line.join(' ')} ${line.at(-1)[0]},36` }),
        h('polyline', { points: line.join(' ') })])));
}

function switches({ name, state }) {
  const to = state === 'paused' ? 'resume' : 'pause';
  return state !== 'unconfigured' && action(`switch ${name}`, state === 'paused' ? 'Resume' : 'Pause', async () => {
    await post(`subscribers/${encodeURIComponent(name)}/${to}`);
    await subscribers.now();
  }, state === 'paused' ? 'primary' : '');
}

const big = (name, value) => fact(name, h('span.big', value));

function card(one, last) {
  const past = history(one.name);
  const behind = last - one.position + 1;
  return h('article.card', { key: one.name, 'data-tone': { failing: 'bad', unconfigured: 'bad', paused: 'warn' }[one.state] },
    h('div.line', h('h2', one.name), badge(one.state), switches(one)),
    h('p.sink', one.sink),
    h('dl.facts',
      big('Backlog', count(one.backlog)),
      big('Oldest owed', one.oldest_owed_seconds ? span(one.oldest_owed_seconds) : '–'),
      big('Retrying', count(one.retrying)),
      big('Dead', one.dead > 0 ? h('a.bad', { href: link('dead', [], { subscriber: one.name }) }, count(one.dead)) : '0')),
    h('div.plots', plot('Backlog', past, (sample) => sample.backlog, count), plot('Oldest owed', past, (sample) => sample.lag, span)),
    h('dl.facts',
      fact('Position', count(one.position), h('span.muted', behind > 0 ? `, ${count(behind)} to look at` : ', at the end')),
      fact('Delivered', count(one.delivered)),
      fact('Order', one.order),
      one.next_attempt && fact('Next attempt', time(one.next_attempt)),
      fact('Wants', one.topics.join(', ')),
      one.filter && fact('Filter', h('code', one.filter))),
    one.last_error && h('p.reason', h('span.muted', 'Last refused ', time(one.last_error.time), ': '), one.last_error.reason));
}

export function view() {
  const data = subscribers.data;
  return [
    h('div.head', h('h1', 'Subscribers'), data && h('p.muted', `${count(data.last_seq)} events recorded in all`)),
    notice(subscribers),
    data && (data.subscribers.length
      ? h('div.cards', data.subscribers.map((one) => card(one, data.last_seq)))
      : empty('No subscriber is configured: events are kept, and go nowhere.'))];
}
