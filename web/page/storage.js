/** Small values that the browser keeps for this site. Where it forbids storage, they last as long as the page. */

const values = new Map(); // what could not be stored

/** Return a kept text, or undefined. */
export function recall(key) {
  try {
    return values.get(key) ?? localStorage.getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Keep a text; undefined deletes it. */
export function remember(key, text) {
  values.delete(key);
  try {
    if (text === undefined) localStorage.removeItem(key);
    else localStorage.setItem(key, text);
  } catch {
    values.set(key, text);
  }
}
