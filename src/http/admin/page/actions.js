// Buttons that ask the daemon for something, and say beside themselves what came of it.

import { draw, h } from './dom.js';

const states = new Map();

/** Forgets what came of the buttons of the view that was left. */
export function forgetActions() {
  for (const [key, state] of states) if (!state.busy) states.delete(key);
}

/** `run` answers what to say when it went well, or nothing. One that is under way is not begun again. */
export async function perform(key, run) {
  if (states.get(key)?.busy) return;
  states.set(key, { busy: true });
  draw();
  try {
    states.set(key, { done: await run() });
  } catch (error) {
    states.set(key, { error: error.message });
  }
  draw();
}

/** What came of an action. */
export function outcome(key) {
  const { done, error } = states.get(key) ?? {};
  if (error) return h('span.outcome.bad', { role: 'alert' }, error);
  return done ? h('span.outcome.good', { role: 'status' }, done) : null;
}

/** A button and what came of it. */
export function action(key, label, run, { style = '', disabled = false, title } = {}) {
  const busy = states.get(key)?.busy ?? false;
  return h('span.action', { key },
    h('button', { type: 'button', class: style, title, disabled: disabled || busy, onclick: () => perform(key, run) },
      label),
    outcome(key));
}

/** Copies a text; where the browser keeps its clipboard for secure origins, by way of a selection. */
export function copier(key, text, label = 'Copy') {
  return action(key, label, async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const field = h('textarea.aside', { value: text, 'aria-hidden': 'true' });
      document.body.append(field);
      field.select();
      const copied = document.execCommand('copy');
      field.remove();
      if (!copied) throw new Error('The browser does not let this page copy.');
    }
    return 'Copied';
  }, { style: 'small' });
}
