/** What is looked at, kept in the address after `#`, so that reloading and links come back to it. */

const KEYS = ["page", "mob", "run", "tab", "type", "member", "text", "order", "flow", "status"];

/** @returns {Object<string, string>} such as {mob, tab}, {run, tab} or {page}; what else an address says is no part of it */
export function route() {
  const told = new URLSearchParams(location.hash.slice(1));
  return Object.fromEntries(KEYS.filter((key) => told.has(key)).map((key) => [key, told.get(key)]));
}

/** The address of a place; empty values are left out. */
export const link = (place) =>
  `#${new URLSearchParams(Object.entries(place).filter(([key, value]) => value != null && (value !== "" || key === "mob")))}`;

export const go = (place) => (location.hash = link(place));

/** Change the place without a step in the history and without showing anything anew. */
export const note = (place) => history.replaceState(null, "", link(place));

/** Which database. */
export const storeName = () => new URLSearchParams(location.search).get("store") || "mobs";
