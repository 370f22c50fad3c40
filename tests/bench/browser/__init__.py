"""Benchmarks in a browser against hand-written JavaScript: `python -m bench browser`.

`works` defines the measurements, `contests` runs them in turns, `scrolling` reads traces, `stage`
builds and serves the site and starts browsers. `served` holds JavaScript for the browser:
`raw.js` is the hand-written counterpart of mobstore, `turns.js` alternates between the two.
`inside` is the mobstore side, run by Pyodide.
"""
