// Delivering many events again: first how many it would be, then doing it, then how far it is.

import { action, outcome, perform } from './actions.js';
import { Feed, notice, post } from './api.js';
import { subscribers, topics, topicNames } from './daemon.js';
import { confirm } from './dialogs.js';
import { badge, button, check, count, draw, empty, h, row, some, table, time } from './dom.js';
import { choice, field, moment } from './fields.js';
import { amend } from './route.js';

let form = {};
let to = new Set();
let [counted, countedFor] = [[], ''];
const running = new Feed(2000);

export function enter({ query: { topic = '', type = '', q = '', since = '', until = '', rate = '' } }) {
  form = { topic, type, q, since, until, rate };
  topics.start('topics');
  running.start('replays');
}

export function leave() {
  running.stop();
  topics.stop();
}

function request() {
  const set = Object.fromEntries(Object.entries(form).filter(([, value]) => value));
  return { ...set, subscribers: [...to], ...(form.rate && { rate: Number(form.rate) }) };
}

const countFirst = () => perform('count', async () => {
  const asked = request();
  counted = (await post('replay', { ...asked, dry_run: true })).replays;
  countedFor = JSON.stringify(asked);
});

const total = () => counted.reduce((sum, one) => sum + (one.total ?? 0), 0);

async function begin() {
  const asked = request();
  const text = `${counted.map((one) => `${one.subscriber}: ${count(one.total ?? 0)}`).join(', ')}. Receivers may have had them before.`;
  if (!await confirm({ title: `Make ${some(total(), 'delivery').replace('ys', 'ies')} again?`, text, yes: 'Replay' })) return;
  perform('count', async () => {
    await post('replay', asked);
    countedFor = '';
    await running.now();
    return 'It has begun.';
  });
}

function result() {
  if (countedFor !== JSON.stringify(request())) return countedFor && h('p.muted', 'The form has changed since it was counted.');
  return h('div.result', { role: 'status' },
    h('ul', counted.map((one) => h('li', h('strong', some(one.total ?? 0, 'event')), ` to ${one.subscriber}`))),
    total() > 0 ? button('Replay…', begin, 'primary') : 'There is nothing to deliver again.');
}

function line(one) {
  const all = one.total ?? 0;
  return row({ key: one.id, class: 'row' },
    [time(one.started), 'when'],
    [one.subscriber, 'name'],
    [badge(one.state), 'state'],
    [[h('progress', { max: all || 1, value: all ? one.done : 0, 'aria-label': `Replay to ${one.subscriber}` }),
      one.total === null ? ` ${count(one.done)}, still counting` : ` ${count(one.done)} of ${count(all)}`,
      one.failed > 0 && h('span.warn', `, ${count(one.failed)} refused`), one.gone > 0 && `, ${count(one.gone)} gone`,
      one.rate && h('span.muted', `, at most ${count(one.rate)}/s`)], 'wide'],
    [one.state === 'running' && action(`cancel ${one.id}`, 'Cancel', async () => {
      await post(`replays/${encodeURIComponent(one.id)}/cancel`);
      await running.now();
    }, { style: 'small' }), 'do']);
}

export function view() {
  const change = (key) => (value) => {
    form[key] = value;
    amend({ [key]: value });
    draw();
  };
  const replays = running.data?.replays ?? [];
  return [
    h('div.head', h('h1', 'Replay')),
    h('form.panel', { onsubmit: countFirst },
      h('div.filter',
        choice('Topic', form.topic, topicNames(), 'all', change('topic')),
        field('Type', form.type, change('type'), { placeholder: 'any' }),
        field('Text', form.q, change('q'), { type: 'search', placeholder: 'topic, type, delivery id or id' }),
        moment('From', form.since, change('since')),
        moment('Before', form.until, change('until')),
        field('At most a second', form.rate, change('rate'), { inputmode: 'numeric', pattern: '[1-9][0-9]{0,6}', placeholder: 'no limit' })),
      h('fieldset', h('legend', 'To'),
        (subscribers.data?.subscribers ?? []).map(({ name }) => h('label', { key: name }, check(to, name, draw), name)),
        to.size === 0 && h('span.muted', 'all that want any of the events')),
      h('div.line', h('button.primary', 'Count first'), outcome('count')),
      result()),
    h('h2', 'Replays'),
    notice(running),
    replays.length > 0 && table('Replays', ['Asked for', 'Subscriber', 'State', 'Progress', ''], replays.map(line)),
    running.data && replays.length === 0 && empty('None since the daemon started.'),
  ];
}
