// Where senders post to, and whether they do.

import { copier } from './actions.js';
import { Feed, notice } from './api.js';
import { topics } from './daemon.js';
import { badge, bytes, count, empty, fact, h, link, row, status, table, time } from './dom.js';

const secrets = new Feed(10000);

export const enter = () => secrets.start('secrets');
export const leave = () => secrets.stop();

function hint(topic, keys) {
  if (topic.events > 0 || topic.last_event) return null;
  if (Object.keys(topic.requests).some((status) => status >= 400)) {
    return h('p.hint', 'Requests come, and none is accepted. ', h('a', { href: link('rejections', [], { topic: topic.name }) }, 'Rejections'), ' says why.');
  }
  return h('p.hint', keys.some((key) => key.last_matched) ? 'Nothing since the daemon started, though something came before.'
    : 'Nothing has ever arrived. Give this URL and the secret to the sender, with content type application/json, and have it send a test.');
}

function statuses(requests) {
  const all = Object.entries(requests);
  return all.length ? all.map(([code, times]) => status(code, `${code} × ${count(times)}`)) : '–';
}

function keysOf(keys) {
  return table('Secrets', ['Secret', 'State', 'Last matched', ['Matched', 'number'], 'Valid'], keys.map((key) => row({ key: key.secret },
    [h('code', key.secret), 'name'],
    [badge(key.state), 'state'],
    [key.last_matched ? time(key.last_matched) : 'never', 'when'],
    [count(key.matched), 'number'],
    [[key.not_before && ['from ', time(key.not_before), ' '], key.not_after && ['until ', time(key.not_after)]], 'wide'])));
}

function card(topic) {
  const keys = (secrets.data?.secrets ?? []).filter((key) => key.topic === topic.name);
  return h('article.card', { key: topic.name },
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
    notice(topics), secrets.error && notice(secrets),
    all && (all.length ? h('div.cards', all.map(card)) : empty('No topic is configured: every request is refused.'))];
}
