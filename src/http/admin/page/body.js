// A body as text that can be read, without changing what it says.

/** JSON with line breaks. Numbers and repeated keys stay as they are written, which `JSON.stringify` would not promise. */
function indent(json) {
  let depth = 0;
  // A body may be nothing but brackets: what is deeper is not moved further.
  const line = (by) => `\n${'  '.repeat(Math.min(depth += by, 32))}`;
  return json.replace(/"(?:\\.|[^"\\])*"|[[{]\s*[\]}]|[[{\]},:]|\s+/g, (token) => {
    if (token[0] === '"') return token;
    if (/^\s/.test(token)) return '';
    if (token.length > 1) return token[0] + token.at(-1);
    if (token === ':') return ': ';
    if (token === ',') return `,${line(0)}`;
    return '[{'.includes(token) ? token + line(1) : line(-1) + token;
  });
}

function pretty(text) {
  try {
    JSON.parse(text);
    return indent(text);
  } catch {
    return undefined;
  }
}

/** What to show of bytes: `text` to read, `raw` as sent, and what `kind` of file it is. Neither text if they are none. */
export function readable(buffer, type) {
  let raw;
  try {
    raw = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(buffer);
  } catch {
    return { kind: 'bin' };
  }
  if (/^application\/x-www-form-urlencoded/i.test(type)) {
    const fields = [...new URLSearchParams(raw)].map(([name, value]) => `${name} = ${pretty(value) ?? value}`);
    return { text: fields.join('\n\n'), raw, kind: 'txt' };
  }
  const text = pretty(raw);
  return { text: text ?? raw, raw, kind: text ? 'json' : 'txt' };
}
