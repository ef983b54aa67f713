// Buttons that ask the daemon for something, and say beside themselves what came of it.

import { button, draw, h } from './dom.js';

const states = new Map();

/** Forgets what came of the buttons of the view that was left. */
export function forgetActions() {
  for (const [key, { busy }] of states) if (!busy) states.delete(key);
}

/** `run` answers what to say when it went well, or nothing. One that is under way is not begun again. */
export async function perform(key, run) {
  if (states.get(key)?.busy) return;
  states.set(key, { busy: true });
  draw();
  states.set(key, await run().then((done) => ({ done }), (error) => ({ error })));
  draw();
}

/** What came of an action. */
export function outcome(key) {
  const { done, error } = states.get(key) ?? {};
  if (error) return h('span.bad', { role: 'alert' }, error.message);
  return done && h('span.good', { role: 'status' }, done);
}

/** A button and what came of it. */
export function action(key, label, run, style, disabled) {
  return h('span.action', { key }, button(label, () => perform(key, run), style, disabled || states.get(key)?.busy), outcome(key));
}

/** Copies a text; where the browser keeps its clipboard for secure origins, by way of a selection. */
export function copier(key, text) {
  return action(key, 'Copy', async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const field = h('textarea.aside', { value: text });
      document.body.append(field);
      field.select();
      const copied = document.execCommand('copy');
      field.remove();
      if (!copied) throw new Error('The browser does not let this page copy.');
    }
    return 'Copied';
  }, 'small');
}
