/** What is looked at, kept in the address after `#`, so that reloading and links come back to it. */

/** @returns {Object<string, string>} such as {mob, tab}, {run, tab} or {page} */
export const route = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

/** The address of a place; empty values are left out. */
export const link = (place) =>
  `#${new URLSearchParams(Object.entries(place).filter(([key, value]) => value != null && (value !== "" || key === "mob")))}`;

export const go = (place) => (location.hash = link(place));

/** Change the place without a step in the history and without showing anything anew. */
export const note = (place) => history.replaceState(null, "", link(place));

/** Which database. */
export const storeName = () => new URLSearchParams(location.search).get("store") || "mobs";
