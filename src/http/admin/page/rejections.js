// Requests that were refused, and what would have helped.

import { Feed, listing, notice } from './api.js';
import { bytes, empty, fact, h, link, query, row, section, status, time } from './dom.js';
import { headers } from './event.js';
import { topicField } from './fields.js';
import { amend } from './route.js';

let [topic, id] = ['', ''];
const list = new Feed(3000);
const detail = new Feed(60000);

export function enter({ path: [asked = ''], query: { topic: wanted = '' } }) {
  leave();
  [id, topic] = [asked, wanted];
  if (id) detail.start(`rejections/${encodeURIComponent(id)}`);
  else list.start(query('rejections', { topic, limit: 200 }));
}

export function leave() {
  list.stop();
  detail.stop();
}

function line(one) {
  const href = link('rejections', [one.id], { topic });
  return row({ key: one.id, class: 'row', href },
    [time(one.time), 'when'],
    [one.topic || h('span.muted', 'no such topic'), 'name'],
    [status(one.status), 'state'],
    [h('a.open', { href }, one.reason), 'wide'],
    [h('span.muted', one.label), 'kind'],
    [one.client ?? 'unix socket', 'id']);
}

function one(what) {
  return [
    h('p.reason', what.reason),
    h('dl.facts',
      fact('Answered', status(what.status)),
      fact('When', time(what.time)),
      fact('Topic', what.topic || 'no such topic'),
      fact('From', what.client ?? 'unix socket'),
      fact('Request', h('code', `${what.method} ${what.target}`)),
      fact('Body', what.body_bytes === null ? 'length not known' : bytes(what.body_bytes))),
    section('findings', 'What would help', null, what.findings.length
      ? h('ol.findings', what.findings.map(({ found, change }) => h('li', h('strong', found), h('p', change))))
      : empty('Nothing beyond the reason above.')),
    h('div.columns', section('body', 'Body', null, what.body ? h('pre.body', { tabindex: 0 }, what.body) : empty('It was not kept.')), headers(what.headers))];
}

export function view() {
  if (id) {
    return [h('div.head', h('h1', 'Rejection'), h('a.button', { href: link('rejections', [], { topic }) }, 'All rejections')),
      notice(detail), detail.data && one(detail.data)];
  }
  return [
    h('h1', 'Rejections'),
    h('form.filter', topicField(topic, (value) => amend({ topic: value }))),
    listing(list, 'Rejections', ['Time', 'Topic', 'Status', 'Reason', 'Kind', 'From'], (list.data?.rejections ?? []).map(line),
      'None. Refused requests are listed here with the reason, which the sender is not told.')];
}
