// Where the reader is: the part of the address behind `#`.

import { link } from './dom.js';

let changed = () => {};

export function onRoute(work) {
  changed = work;
  window.addEventListener('hashchange', work);
}

/** `#/event/ID?key=value` in parts. What cannot be decoded is left as it is. */
export function current() {
  const [path, search = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [view, ...rest] = path.split('/').map((part) => {
    try { return decodeURIComponent(part); } catch { return part; }
  });
  return { view, path: rest.filter(Boolean), query: Object.fromEntries(new URLSearchParams(search)) };
}

let waiting;
/** Changes the query while somebody types: no new entry in the history. */
export function amend(changes) {
  const { view, path, query } = current();
  const href = link(view, path, { ...query, ...changes });
  clearTimeout(waiting);
  history.replaceState(null, '', href);
  waiting = setTimeout(changed, 250);
}
