// Fields of forms that hold what the address of the view says.

import { topics } from './daemon.js';
import { h } from './dom.js';

const labelled = (label, tag, props, ...inside) => h('label.field', { key: label }, h('span', label), h(tag, props, inside));

/** A choice among the topics; what is chosen stays one even if it is none of them. */
export function topicField(value, change) {
  const names = new Set([value, ...(topics.data?.topics ?? []).map(({ name }) => name)].filter(Boolean));
  return labelled('Topic', 'select', { value, onchange: ({ target }) => change(target.value) },
    h('option', { value: '' }, 'all'), [...names].map((name) => h('option', { value: name }, name)));
}

export function field(label, value, change, props) {
  return labelled(label, 'input', { autocomplete: 'off', spellcheck: 'false', value, oninput: ({ target }) => change(target.value), ...props });
}

export const textField = (value, change) => field('Text', value, change, { type: 'search', placeholder: 'topic, type, delivery id or id' });

/** A moment in the reader's time zone; the value is RFC 3339, or nothing. */
export function moment(label, value, change) {
  const at = Date.parse(value);
  const local = at ? new Date(at - new Date(at).getTimezoneOffset() * 60000).toISOString().slice(0, 19) : '';
  const onchange = ({ target }) => change(target.value && new Date(target.value).toISOString());
  return labelled(label, 'input', { type: 'datetime-local', step: 1, value: local, onchange });
}
