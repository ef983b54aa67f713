// What several views want to know of the daemon, and how the backlogs moved while the page was open.

import { Feed } from './api.js';

/** Samples of one subscriber: ten minutes. */
const KEPT = 120;
const EVERY = 5000;
const samples = new Map();

function sample({ subscribers: all }) {
  const at = Date.now();
  for (const name of samples.keys()) if (!all.some((one) => one.name === name)) samples.delete(name);
  for (const { name, backlog, oldest_owed_seconds: lag } of all) {
    if (!samples.has(name)) samples.set(name, []);
    const past = samples.get(name);
    past.push({ at, backlog, lag });
    if (past.length > KEPT) past.shift();
  }
}

/** Asked for in every view: it says whether the daemon is there, and what needs attention. */
export const subscribers = new Feed(EVERY, sample);
export const topics = new Feed(10000);
export const history = (name) => samples.get(name) ?? [];
/** A longer pause between two samples is a gap, not a line. */
export const GAP = 3 * EVERY;
export const subscribed = () => subscribers.data?.subscribers ?? [];
