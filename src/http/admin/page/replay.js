// Delivering many events again: first how many it would be, then doing it, then how far it is.

import { action, outcome, perform } from './actions.js';
import { Feed, listing, post } from './api.js';
import { subscribed } from './daemon.js';
import { confirm } from './dialogs.js';
import { badge, button, check, count, draw, h, row, some, time } from './dom.js';
import { field, moment, textField, topicField } from './fields.js';
import { amend } from './route.js';

let form = {};
let to = new Set();
let [counted, countedFor] = [[], ''];
const running = new Feed(2000);

export function enter({ query: { topic = '', type = '', q = '', since = '', until = '', rate = '' } }) {
  form = { topic, type, q, since, until, rate };
  running.start('replays');
}

export const leave = () => running.stop();

function request() {
  const set = Object.fromEntries(Object.entries(form).filter(([, value]) => value));
  return { ...set, rate: Number(form.rate) || undefined, subscribers: [...to] };
}

const countFirst = () => perform('count', async () => {
  const asked = request();
  counted = (await post('replay', { ...asked, dry_run: true })).replays;
  countedFor = JSON.stringify(asked);
});

const total = () => counted.reduce((sum, one) => sum + (one.total ?? 0), 0);

async function begin() {
  const asked = request();
  const text = `To ${counted.map((one) => one.subscriber).join(', ')}, who may have had them before.`;
  if (!await confirm({ title: `Deliver ${some(total(), 'event')} again?`, text, yes: 'Replay' })) return;
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
    [[h('progress', { max: all || 1, value: all && one.done, 'aria-label': 'Progress' }),
      ` ${count(one.done)} of ${one.total === null ? '…' : count(all)}`,
      one.failed > 0 && h('span.warn', `, ${count(one.failed)} refused`), one.gone > 0 && `, ${count(one.gone)} gone`,
      one.rate && h('span.muted', `, at most ${count(one.rate)}/s`)], 'wide'],
    [one.state === 'running' && action(`cancel ${one.id}`, 'Cancel', async () => {
      await post(`replays/${encodeURIComponent(one.id)}/cancel`);
      await running.now();
    }, 'small'), 'do']);
}

export function view() {
  const change = (key) => (value) => {
    form[key] = value;
    amend({ [key]: value });
    draw();
  };
  return [
    h('h1', 'Replay'),
    h('form.card', { onsubmit: countFirst },
      h('div.filter',
        topicField(form.topic, change('topic')),
        field('Type', form.type, change('type'), { placeholder: 'any' }),
        textField(form.q, change('q')),
        moment('From', form.since, change('since')),
        moment('Before', form.until, change('until')),
        field('At most a second', form.rate, change('rate'), { inputmode: 'numeric', pattern: '[1-9][0-9]{0,6}', placeholder: 'no limit' })),
      h('fieldset', h('legend', 'To'),
        subscribed().map(({ name }) => h('label', { key: name }, check(to, name, draw), name)),
        to.size === 0 && h('span.muted', 'all that want any of the events')),
      h('div.actions', h('button.primary', 'Count first'), outcome('count')),
      result()),
    h('h2', 'Replays'),
    listing(running, 'Replays', ['Asked for', 'Subscriber', 'State', 'Progress', ''], (running.data?.replays ?? []).map(line), 'None since the daemon started.'),
  ];
}
