/** The route: the current view, kept in the address after `#`, so that reloads and links return to it. */

const KEYS = ["page", "mob", "run", "tab", "type", "member", "since", "order", "flow", "status", "unclaimed"];

/** @returns {Object<string, string>} such as {mob, tab}, {run, tab} or {page}; unknown keys are dropped */
export function route() {
  const params = new URLSearchParams(location.hash.slice(1));
  return Object.fromEntries(KEYS.filter((key) => params.has(key)).map((key) => [key, params.get(key)]));
}

/** Return the address of a route, without empty values. */
export const link = (place) =>
  `#${new URLSearchParams(Object.entries(place).filter(([key, value]) => value != null && (value !== "" || key === "mob")))}`;

export const go = (place) => (location.hash = link(place));

/** Change the route without a history entry and without a refresh. */
export const replaceRoute = (place) => history.replaceState(null, "", link(place));

/** The name of the store in the address. */
export const storeName = () => new URLSearchParams(location.search).get("store") || "mobs";
