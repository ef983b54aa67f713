// Questions asked in the page: is this meant, and what is the token; and the keys.

import { button, fact, h } from './dom.js';

/** Shows a dialog until it is answered: what `close` was given, or nothing. Several lie on top of each other. */
function open(title, content) {
  return new Promise((resolve) => {
    let answer;
    const dialog = h('dialog', { 'aria-label': title }, h('h2', title));
    dialog.onclose = () => {
      dialog.remove();
      resolve(answer);
    };
    const close = (given) => {
      answer = given;
      dialog.close();
    };
    dialog.append(content(close));
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Asks whether something is meant. What cannot be undone is not what Enter does. */
export const confirm = ({ title, text, yes, danger }) => open(title, (close) => h('div', h('p', text), h('div.actions',
  button('Cancel', () => close()), h(danger ? 'button.danger' : 'button.primary', { onclick: () => close(true), autofocus: !danger }, yes))));

/** Asks for the token; nothing if there is no answer. `refused`: one was tried. */
export const askToken = (refused) => open('Admin token', (close) => {
  // No header takes more than that.
  const field = h('input', { type: 'password', autocomplete: 'off', required: true, pattern: '[!-~]+', title: 'visible ASCII characters' });
  return h('form', { onsubmit: () => close(field.value) },
    h('p', 'The daemon wants the token of its table ', h('code', '[admin]'), '. It is kept until this tab is closed.'),
    refused && h('p.alarm', { role: 'alert' }, 'The daemon did not accept it.'),
    h('label', 'Token ', field),
    h('div.actions', button('Cancel', () => close()), h('button.primary', 'Continue')));
});

const KEYS = {
  '1 – 7': 'The views', '/': 'Search', 'j k': 'Next and previous row', Enter: 'Open the row', p: 'Pause or resume the live view',
  Esc: 'Out of the field, the dialog, the event', '?': 'These keys',
};
export const help = () => open('Keyboard shortcuts', (close) => h('div',
  h('dl', Object.entries(KEYS).map(([key, does]) => fact(h('kbd', key), does))),
  h('div.actions', button('Close', () => close()))));
