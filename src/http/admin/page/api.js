// Asking the daemon: the token, time limits, what went wrong in words, and polling that rests while nobody looks.

import { askToken } from './dialogs.js';
import { button, draw, empty, h, table } from './dom.js';

const BASE = new URL('api/v1/', document.baseURI);
const KEY = 'forebay-token';
/** Of what a stream says at once, in characters. */
const MOST = 1 << 20;

/** What went wrong; `status` is 0 where there was no answer. */
const failed = (message, status = 0) => Object.assign(new Error(message), { status });

// A browser may forbid storage; the token then lasts as long as the page.
let token = '';
try { token = sessionStorage.getItem(KEY) ?? ''; } catch {}
let asking;
let declined = false;

/** Has the token entered. Whoever needs it meanwhile waits for the same answer. */
function obtain(refused) {
  asking ??= askToken(refused).then((given) => {
    asking = undefined;
    declined = given === undefined;
    token = given ?? '';
    try { sessionStorage.setItem(KEY, token); } catch {}
    wake();
  });
  return asking;
}

/** When the daemon last answered. */
export const reach = { at: 0 };

async function ask(path, { as = 'json', body, headers, signal, patience = 15000 } = {}) {
  for (;;) {
    const used = token;
    const signals = [signal, patience && AbortSignal.timeout(patience)].filter(Boolean);
    const init = { cache: 'no-store', credentials: 'omit', redirect: 'error', signal: AbortSignal.any(signals), headers: { ...headers } };
    if (used) init.headers.authorization = `Bearer ${used}`;
    if (body) {
      Object.assign(init, { method: 'POST', body: JSON.stringify(body) });
      init.headers['content-type'] = 'application/json';
    }
    let failure;
    try {
      const answer = await fetch(new URL(path, BASE), init);
      reach.at = Date.now();
      if (answer.ok) return as === 'body' ? answer.body : await answer[as]();
      const said = await answer.json().catch(() => ({}));
      failure = failed(said.error?.message ?? `The daemon answers with status ${answer.status}.`, answer.status);
    } catch (error) {
      if (signal?.aborted) throw error;
      throw failed(error.name === 'TimeoutError' ? 'The daemon took too long to answer.' : 'The daemon does not answer.');
    }
    if (failure.status !== 401 || declined) throw failure;
    // Another request may have obtained one meanwhile.
    if (token === used) await obtain(used !== '');
    if (declined) throw failure;
  }
}

export const get = (path, signal) => ask(path, { signal });
export const post = (path, body = {}) => ask(path, { body });
export const getBytes = (path) => ask(path, { as: 'arrayBuffer', patience: 120000 });

/** Server-sent events, until the stream ends. `open()` when it is established, `beat()` whenever it is alive,
 *  `hear(id, data)` for each event. */
export async function stream(path, last, { signal, open, beat, hear }) {
  const silence = new AbortController();
  let watch;
  const within = (time) => {
    clearTimeout(watch);
    watch = setTimeout(() => silence.abort(), time);
  };
  try {
    within(15000);
    const headers = { accept: 'text/event-stream', ...(last && { 'last-event-id': last }) };
    const body = await ask(path, { as: 'body', headers, signal: AbortSignal.any([signal, silence.signal]), patience: 0 });
    open();
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let [rest, id, data] = ['', '', ''];
    for (;;) {
      // A comment comes every 15 seconds.
      within(40000);
      beat();
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      if (rest.length + data.length > MOST) throw failed('The stream makes no sense.');
      for (const line of lines) {
        if (line.startsWith('id:')) id = line.slice(3).trim();
        else if (line.startsWith('data:')) data += line.slice(5);
        else if (line === '' && data) {
          hear(id, JSON.parse(data));
          data = '';
        }
      }
    }
  } finally {
    clearTimeout(watch);
    silence.abort();
  }
}

const awake = new Set();
const wake = () => awake.forEach((feed) => feed.now());
document.addEventListener('visibilitychange', wake);

/** Something that is asked for again and again while it is looked at. */
export class Feed {
  /** `every`: milliseconds between two answers. */
  constructor(every, taken = () => {}) {
    Object.assign(this, { every, taken });
  }

  /** Begins, or goes on with something else. */
  start(path) {
    if (path !== this.path) Object.assign(this, { path, data: undefined, error: undefined });
    awake.add(this);
    return this.now();
  }

  stop() {
    awake.delete(this);
    clearTimeout(this.timer);
    this.running?.abort();
  }

  /** Asks at once. What is under way is given up: it may be older than what made someone ask. */
  async now() {
    clearTimeout(this.timer);
    this.running?.abort();
    if (document.hidden || !awake.has(this)) return;
    const running = (this.running = new AbortController());
    try {
      const data = await get(this.path, running.signal);
      if (running.signal.aborted) return;
      [this.data, this.error] = [data, undefined];
      this.taken(data);
    } catch (error) {
      if (running.signal.aborted) return;
      this.error = error;
    }
    this.timer = setTimeout(() => this.now(), this.every);
    draw();
  }
}

export function alarm(error) {
  return h('p.alarm', { role: 'alert' }, error.message, ' ', error.status === 401 && button('Enter the token', () => obtain(false)));
}

/** What is to be said of a feed: that there is nothing yet, or what went wrong. */
export function notice(feed) {
  if (feed.error) return alarm(feed.error);
  return feed.data ? null : h('p.loading', { role: 'status' }, 'Loading…');
}

/** A table of what a feed has, or what to say where there is none. */
export const listing = (feed, label, headings, rows, none) => [
  notice(feed), rows.length > 0 ? table(label, headings, rows) : feed.data && empty(none)];
