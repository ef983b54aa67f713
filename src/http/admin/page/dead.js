// Deliveries that were given up: trying them again, or letting go of them.

import { outcome, perform } from './actions.js';
import { Feed, alarm, get, listing, post } from './api.js';
import { subscribed, subscribers } from './daemon.js';
import { confirm } from './dialogs.js';
import { button, check, count, draw, h, link, query, row, some, time } from './dom.js';
import { topicField } from './fields.js';
import { amend } from './route.js';

const PAGE = 100;
/** Further pages that are kept. */
const PAGES = 9;

let filter = {};
let [chosen, more, next, failed] = [new Set(), [], null];
const first = new Feed(5000, (data) => { if (more.length === 0) next = data.next; });
const from = (before) => query('dead', { ...filter, limit: PAGE, before });
const keyOf = (letter) => `${letter.subscriber} ${letter.event}`;
const letters = () => [...new Map([...(first.data?.dead ?? []), ...more.flat()].map((letter) => [keyOf(letter), letter])).values()];

export function enter({ query: { subscriber = '', topic = '' } }) {
  if (subscriber !== filter.subscriber || topic !== filter.topic) chosen = new Set();
  filter = { subscriber, topic };
  [more, next, failed] = [[], null];
  first.start(from());
}

export const leave = () => first.stop();

async function older() {
  try {
    const page = await get(from(next));
    more.push(page.dead);
    [next, failed] = [page.next];
  } catch (error) {
    failed = error;
  }
  draw();
}

/** One request a subscriber; what is left is looked for again. */
const settle = (verb, selections) => perform('dead', async () => {
  let done = 0;
  try {
    for (const selection of selections) done += (await post(`dead/${verb}`, selection)).count;
  } finally {
    const gone = ({ subscriber, event }) => selections.some((one) => one.subscriber === subscriber && (one.all || one.events.includes(event)));
    chosen = new Set(letters().filter((letter) => !gone(letter)).map(keyOf).filter((key) => chosen.has(key)));
    more = more.map((page) => page.filter((letter) => !gone(letter)));
    await Promise.all([first.now(), subscribers.now()]);
  }
  return `${some(done, 'dead letter')} ${verb === 'drop' ? 'dropped' : 'on the way again'}.`;
});

/** Asks first. `note`: which they are. */
async function sure(verb, what, note, selections) {
  const danger = verb === 'drop';
  const [yes, means] = danger ? ['Drop', 'What is dropped will not be delivered.'] : ['Retry', 'Each gets its attempts anew.'];
  if (await confirm({ title: `${yes} ${what}?`, text: `${note} ${means}`, yes, danger })) settle(verb, selections);
}

function one(verb, { subscriber, event, topic, type }) {
  const selections = [{ subscriber, events: [event] }];
  if (verb === 'retry') settle(verb, selections);
  else sure(verb, 'this dead letter', `${topic} ${type ?? ''} for ${subscriber}.`, selections);
}

function picked(verb) {
  const by = Object.groupBy(letters().filter((letter) => chosen.has(keyOf(letter))), (letter) => letter.subscriber);
  const selections = Object.entries(by).map(([subscriber, of]) => ({ subscriber, events: of.map((letter) => letter.event) }));
  const total = selections.reduce((sum, { events }) => sum + events.length, 0);
  if (total) sure(verb, some(total, 'dead letter'), `For ${Object.keys(by).join(', ')}.`, selections);
}

const every = (verb, { name, dead }) => sure(verb, `all ${some(dead, 'dead letter')} of ${name}`,
  'Those of every topic, also if they are not shown.', [{ subscriber: name, all: true }]);

function group(of) {
  const here = filter.subscriber === of.name;
  return h('li', { key: of.name },
    h('a', { href: link('dead', [], { ...filter, subscriber: here ? '' : of.name }), 'aria-current': here && 'true' }, of.name, ' ', h('span.count', count(of.dead))),
    button('Retry all…', () => every('retry', of), 'small'), button('Drop all…', () => every('drop', of), 'small danger'));
}

function line(letter) {
  const [key, href] = [keyOf(letter), link('event', [letter.event])];
  return row({ key, class: 'row', href },
    [check(chosen, key, draw, `Choose ${letter.event}`), 'pick'],
    [time(letter.died), 'when'],
    [letter.subscriber, 'name'],
    [[h('a.open', { href }, letter.topic || 'event'), ` ${letter.type ?? ''}`, h('small.muted', 'received ', time(letter.received))], 'what'],
    [count(letter.attempts), 'number'],
    [letter.reason, 'wide'],
    [h('div.actions', button('Retry', () => one('retry', letter), 'small'), button('Drop…', () => one('drop', letter), 'small danger')), 'do']);
}

function bar(all) {
  const on = all.length > 0 && all.every((letter) => chosen.has(keyOf(letter)));
  const onchange = ({ target }) => {
    chosen = new Set(target.checked ? all.map(keyOf) : []);
    draw();
  };
  const none = chosen.size === 0;
  const act = (verb, label, style) => button(`${label} ${none ? '' : count(chosen.size)} chosen…`, () => picked(verb), style, none);
  return h('form.filter',
    topicField(filter.topic, (topic) => amend({ topic })),
    all.length > 0 && [
      h('label.all', h('input', { type: 'checkbox', checked: on, indeterminate: !none && !on, onchange }), `All ${count(all.length)} shown`),
      act('retry', 'Retry'), act('drop', 'Drop', 'danger')],
    outcome('dead'));
}

export function view() {
  const all = letters();
  const withDead = subscribed().filter(({ dead }) => dead > 0);
  return [
    h('h1', 'Dead letters'),
    withDead.length > 0 && h('ul.groups', withDead.map(group)),
    bar(all),
    listing(first, 'Dead letters', ['', 'Died', 'Subscriber', 'Event', ['Attempts', 'number'], 'Reason', ''], all.map(line),
      filter.subscriber || filter.topic ? ['None of these. ', h('a', { href: '#/dead' }, 'Show all')]
        : 'None. A delivery that is given up waits here until somebody retries or drops it.'),
    failed && alarm(failed),
    next && h('p.end', more.length < PAGES ? button('Load older', older) : 'Choose a subscriber or topic for older ones.'),
  ];
}
