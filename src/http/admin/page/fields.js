// Fields of forms that hold what the address of the view says.

import { h } from './dom.js';

/** A choice among names; what is chosen stays one even if it is not among them. */
export function choice(label, value, names, all, change) {
  const known = value && !names.includes(value) ? [value, ...names] : names;
  return h('label.field', h('span', label), h('select', { value, onchange: (event) => change(event.target.value) },
    h('option', { value: '' }, all), known.map((name) => h('option', { value: name }, name))));
}

export function field(label, value, change, props = {}) {
  return h('label.field', { key: label }, h('span', label),
    h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', value, oninput: (event) => change(event.target.value), ...props }));
}

/** A moment in the reader's time zone; the value is RFC 3339, or nothing. */
export function moment(label, value, change) {
  const take = (event) => change(event.target.value && new Date(event.target.value).toISOString());
  return h('label.field', { key: label }, h('span', label),
    h('input', { type: 'datetime-local', step: 1, value: local(value), onchange: take }));
}

function local(iso) {
  const date = new Date(iso);
  if (!iso || Number.isNaN(date.getTime())) return '';
  return new Date(date.getTime() - date.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}
