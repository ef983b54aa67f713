// A body as text that can be read, without changing what it says.

const INDENT = '  ';

/** JSON with line breaks. Numbers and repeated keys stay as they are written, which `JSON.stringify` would not promise. */
function indent(json) {
  let [text, depth, quoted] = ['', 0, false];
  const line = () => `\n${INDENT.repeat(depth)}`;
  for (let at = 0; at < json.length; at += 1) {
    const c = json[at];
    if (quoted) {
      text += c;
      if (c === '\\') text += json[(at += 1)] ?? '';
      else if (c === '"') quoted = false;
    } else if (c === '"') {
      text += c;
      quoted = true;
    } else if (c === '{' || c === '[') {
      const end = json.slice(at + 1).match(/^\s*([}\]])/);
      if (end) {
        text += c + end[1];
        at += end[0].length;
      } else {
        depth += 1;
        text += c + line();
      }
    } else if (c === '}' || c === ']') {
      depth -= 1;
      text += line() + c;
    } else if (c === ',') text += c + line();
    else if (c === ':') text += ': ';
    else if (!/\s/.test(c)) text += c;
  }
  return text;
}

function pretty(text) {
  try {
    JSON.parse(text);
    return indent(text);
  } catch {
    return undefined;
  }
}

/** What to show of bytes: `{ text, kind, raw }`; no text if they are not text. `raw`: it differs from what is shown. */
export function readable(buffer, type = '') {
  let raw;
  try {
    raw = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(buffer);
  } catch {
    return { kind: 'not text' };
  }
  if (/^application\/x-www-form-urlencoded/i.test(type)) {
    const fields = [...new URLSearchParams(raw)].map(([name, value]) => `${name} = ${pretty(value) ?? value}`);
    return { text: fields.join('\n\n'), raw, kind: 'form' };
  }
  const text = pretty(raw);
  return text === undefined ? { text: raw, raw, kind: 'text' } : { text, raw, kind: 'JSON' };
}
