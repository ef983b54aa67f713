// Asking the daemon: the token, time limits, what went wrong in words, and polling that rests while nobody looks.

import { button, draw, h } from './dom.js';
import { askToken } from './dialogs.js';

const BASE = new URL('api/v1/', document.baseURI);
const KEY = 'forebay-token';
/** Of a line in a stream, in characters. */
const MOST = 1 << 20;

/** The daemon gave no answer at all, or an error with a status. */
class Failure extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

let token = '';
// A browser may forbid storage; the token then lasts as long as the page.
try { token = sessionStorage.getItem(KEY) ?? ''; } catch { /* as said */ }
let asking;
let declined = false;

function obtain(refused) {
  asking ??= askToken(refused).then((given) => {
    asking = undefined;
    declined = given === undefined;
    if (declined) return;
    token = given;
    try { sessionStorage.setItem(KEY, given); } catch { /* lasts as long as the page */ }
  });
  return asking;
}

/** Asks for the token again after it was declined. */
export async function enterToken() {
  await obtain(false);
  wake();
}

export const reach = { at: 0, failed: '' };

async function ask(path, { body, headers = {}, signal, patience = 15000 } = {}) {
  for (;;) {
    const used = token;
    const limit = patience && AbortSignal.timeout(patience);
    const init = {
      headers: { ...headers }, cache: 'no-store', credentials: 'omit', redirect: 'error',
      signal: AbortSignal.any([signal, limit].filter(Boolean)),
    };
    if (used) init.headers.authorization = `Bearer ${used}`;
    if (body !== undefined) {
      init.method = 'POST';
      init.headers['content-type'] = 'application/json';
      init.body = JSON.stringify(body);
    }
    let answer;
    try {
      answer = await fetch(new URL(path, BASE), init);
    } catch (error) {
      if (signal?.aborted) throw error;
      reach.failed = error.name === 'TimeoutError' ? 'The daemon took too long to answer.' : 'The daemon does not answer.';
      throw new Failure(reach.failed);
    }
    [reach.at, reach.failed] = [Date.now(), ''];
    if (answer.ok) return answer;
    const said = await answer.json().catch(() => ({}));
    const failure = new Failure(said.error?.message ?? `The daemon answers with status ${answer.status}.`, answer.status);
    if (answer.status !== 401 || declined) throw failure;
    // Another request may have obtained one meanwhile.
    if (token === used) await obtain(used !== '');
    if (declined) throw failure;
  }
}

export const get = async (path, signal) => read(await ask(path, { signal }), signal);
export const post = async (path, body = {}) => read(await ask(path, { body }));
export const fetchBody = async (path) => {
  const answer = await ask(path, { patience: 120000 });
  return answer.arrayBuffer().catch(() => { throw new Failure('The answer broke off.'); });
};

async function read(answer, signal) {
  try {
    return await answer.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failure('The answer broke off.');
  }
}

/** `path` with those keys of `query` that are set. */
export function query(path, keys) {
  const set = Object.entries(keys).filter(([, value]) => value !== '' && value !== undefined && value !== null);
  return set.length ? `${path}?${new URLSearchParams(set)}` : path;
}

/** Server-sent events, until the stream ends. `open()` when it is established, `beat()` whenever it is alive,
 *  `hear(id, data)` for each event. */
export async function stream(path, last, { signal, open, beat, hear }) {
  const silence = new AbortController();
  let watch;
  const heard = () => {
    beat();
    clearTimeout(watch);
    // A comment comes every 15 seconds.
    watch = setTimeout(() => silence.abort(), 40000);
  };
  watch = setTimeout(() => silence.abort(), 15000);
  try {
    const headers = { accept: 'text/event-stream', ...(last ? { 'last-event-id': last } : {}) };
    const either = AbortSignal.any([signal, silence.signal]);
    const answer = await ask(path, { headers, signal: either, patience: 0 });
    heard();
    open();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    let [id, data] = ['', ''];
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      heard();
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      if (rest.length > MOST || data.length > MOST) throw new Failure('The stream makes no sense.');
      for (const line of lines.map((text) => text.replace(/\r$/, ''))) {
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
  }
}

const awake = new Set();
const wake = () => awake.forEach((turn) => turn());
document.addEventListener('visibilitychange', wake);

/** Something that is asked for again and again while it is looked at. */
export class Feed {
  /** `every`: milliseconds between two answers. */
  constructor(every, taken = () => {}) {
    Object.assign(this, { every, taken, path: undefined, data: undefined, error: undefined });
    this.turn = () => this.now();
  }

  /** Begins, or goes on with something else. */
  start(path) {
    if (path !== this.path) {
      this.running?.abort();
      Object.assign(this, { path, data: undefined, error: undefined, running: undefined });
    }
    awake.add(this.turn);
    return this.now();
  }

  stop() {
    awake.delete(this.turn);
    clearTimeout(this.timer);
    this.running?.abort();
    this.running = undefined;
  }

  /** Asks at once. What is under way is given up: it may be older than what made someone ask. */
  async now() {
    clearTimeout(this.timer);
    if (document.hidden || !awake.has(this.turn)) return;
    this.running?.abort();
    const running = (this.running = new AbortController());
    try {
      const data = await get(this.path, running.signal);
      if (this.running !== running) return;
      [this.data, this.error] = [data, undefined];
      this.taken(data);
    } catch (error) {
      if (this.running !== running) return;
      this.error = error;
    }
    this.timer = setTimeout(this.turn, this.every);
    draw();
  }
}

/** What is to be said of feeds: that there is nothing yet, or what went wrong. */
export function notice(...feeds) {
  const error = feeds.find((feed) => feed.error)?.error;
  if (error) return alarm(error);
  return feeds.every((feed) => feed.data) ? null : h('p.loading', { key: 'notice', role: 'status' }, 'Loading…');
}

export function alarm(error) {
  return h('p.alarm', { key: 'notice', role: 'alert' }, error.message, ' ', error.status === 401 && button('Enter the token', enterToken));
}
