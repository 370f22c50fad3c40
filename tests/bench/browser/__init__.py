"""What mobstore costs in a browser beside JavaScript by hand: `python -m bench browser`.

`works` says what is measured, `contests` has it done by turns, `scrolling` reads traces, `stage`
builds and serves the site and starts browsers. `served` is JavaScript that runs in the browser:
`raw.js` does what mobstore does, by hand; `turns.js` lets both take turns. `inside` is mobstore's
side of it, run by Pyodide.
"""
