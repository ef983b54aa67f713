// Where senders post to, and whether they do.

import { copier } from './actions.js';
import { Feed, notice } from './api.js';
import { topics } from './daemon.js';
import { badge, bytes, count, empty, fact, h, link, row, status, table, time } from './dom.js';

const secrets = new Feed(10000);

export function enter() {
  topics.start('topics');
  secrets.start('secrets');
}

export function leave() {
  topics.stop();
  secrets.stop();
}

function hint(topic, keys) {
  if (topic.events > 0 || topic.last_event) return null;
  const refused = Object.entries(topic.requests).some(([status, times]) => status >= 400 && times > 0);
  if (refused) {
    return h('p.hint', 'Requests come and none is accepted: ', h('a', { href: link('rejections', [], { topic: topic.name }) }, 'rejections'), ' say why.');
  }
  if (keys.some((key) => key.last_matched)) return h('p.hint', 'Nothing since the daemon started, though something came before.');
  return h('p.hint', 'Nothing has ever arrived. Paste the URL into the webhook settings of the sender, with content type application/json',
    keys.length > 0 && ' and the secret of this topic', ', then have it send a test.');
}

function statuses(requests) {
  const all = Object.entries(requests).filter(([, times]) => times > 0);
  return all.length ? all.map(([code, times]) => status(code, `${code} × ${count(times)}`)) : '–';
}

function keysOf(keys) {
  return table('Secrets', ['Secret', 'State', 'Last matched', ['Matched', 'number'], 'Valid'], keys.map((key) => row({ key: key.secret },
    [h('code', key.secret), 'name'],
    [badge(key.state), 'state'],
    [key.last_matched ? time(key.last_matched) : h('span.muted', 'never'), 'when'],
    [count(key.matched), 'number'],
    [[key.not_before && ['from ', time(key.not_before), ' '], key.not_after && ['until ', time(key.not_after)], !key.not_before && !key.not_after && h('span.muted', 'always')], 'wide'])));
}

function card(topic) {
  const keys = (secrets.data?.secrets ?? []).filter((key) => key.topic === topic.name);
  return h('article.card', { key: topic.name, 'aria-label': topic.name },
    h('div.line', h('h2', topic.name), h('span.muted', topic.validator), h('a', { href: link('live', [], { topic: topic.name }) }, 'events')),
    h('div.url', h('code', topic.url), copier(`url ${topic.name}`, topic.url)),
    hint(topic, keys),
    h('dl.facts',
      fact('Events', count(topic.events)),
      fact('Seen before', count(topic.duplicates)),
      fact('Last event', topic.last_event ? time(topic.last_event) : '–'),
      fact('Answers', statuses(topic.requests)),
      fact('Largest body', bytes(topic.max_body)),
      fact('Goes to', topic.subscribers.join(', ') || h('span.warn', 'nobody'))),
    keys.length > 0 && keysOf(keys));
}

export function view() {
  const all = topics.data?.topics;
  return [
    h('div.head', h('h1', 'Topics'), h('p.muted', 'Counted since the daemon started')),
    notice(topics, secrets),
    all && (all.length ? h('div.cards', all.map(card)) : empty('No topic is configured: every request is refused.'))];
}
