"""The style sheet of displays, for light and dark themes.

JupyterLab announces its theme by variables and an attribute, VS Code by a class, documentation
pages by another attribute; elsewhere the preference of the system applies. All selectors are
below the class of the display, and all classes begin with `ms-`.
"""

from __future__ import annotations

import re

_SHEET = """
.mobstore-display {
  color-scheme: light dark;
  --ms-text: var(--jp-content-font-color1, light-dark(#1c2023, #e4e7e9));
  --ms-quiet: var(--jp-content-font-color2, light-dark(#565d63, #a0a8af));
  --ms-edge: var(--jp-border-color2, light-dark(#d5d5cf, #3a4046));
  --ms-ground: var(--jp-layout-color0, light-dark(#ffffff, #16191c));
  --ms-raised: light-dark(#f1f1ee, #262b30);
  --ms-good: light-dark(#0f6b66, #62cac0);
  --ms-busy: light-dark(#855300, #e3b04f);
  --ms-bad: light-dark(#b0261c, #ff9187);
  color: var(--ms-text); background: var(--ms-ground);
  font: 13px/1.45 var(--jp-ui-font-family, system-ui, sans-serif);
  max-width: 72rem; padding: 8px 10px; overflow-wrap: anywhere;
}
[data-jp-theme-light="true"] .mobstore-display, [data-theme="light"] .mobstore-display,
.vscode-light .mobstore-display { color-scheme: light; }
[data-jp-theme-light="false"] .mobstore-display, [data-theme="dark"] .mobstore-display,
.vscode-dark .mobstore-display { color-scheme: dark; }
.mobstore-display * { box-sizing: border-box; unicode-bidi: isolate; }
.mobstore-display .ms-head { font-size: 15px; display: flex; flex-wrap: wrap; gap: 2px 8px;
  align-items: baseline; }
.mobstore-display .ms-quiet, .mobstore-display .ms-left-out, .mobstore-display .ms-axis,
.mobstore-display th, .mobstore-display summary { color: var(--ms-quiet); }
.mobstore-display .ms-facts { display: flex; flex-wrap: wrap; gap: 1px 18px; margin: 2px 0 4px; }
.mobstore-display .ms-title { font-weight: 600; margin: 10px 0 3px; }
.mobstore-display .ms-title .ms-quiet { font-weight: 400; }
.mobstore-display .ms-left-out { font-style: italic; padding: 2px 0; }
.mobstore-display [data-status] { --ms-c: var(--ms-quiet); }
.mobstore-display [data-status="completed"] { --ms-c: var(--ms-good); }
.mobstore-display [data-status="running"], .mobstore-display [data-status="dispatched"],
.mobstore-display [data-status="ready"] { --ms-c: var(--ms-busy); }
.mobstore-display [data-status="failed"] { --ms-c: var(--ms-bad); }
.mobstore-display .ms-pill { color: var(--ms-c); font-size: 12px; font-weight: 600;
  white-space: nowrap; }
.mobstore-display .ms-node { color: var(--ms-c); border: 1px solid; border-radius: 4px;
  padding: 0 5px; margin: 1px 4px 1px 0; font-size: 12px; display: inline-block; max-width: 100%; }
.mobstore-display .ms-branch { padding: 2px 0 2px calc(var(--ms-depth) * 18px); display: flex;
  flex-wrap: wrap; gap: 1px 8px; align-items: baseline; border-top: 1px solid var(--ms-edge); }
.mobstore-display .ms-time { display: grid; gap: 0 8px;
  grid-template-columns: minmax(4rem, max-content) minmax(10rem, 1fr); }
.mobstore-display .ms-member { padding: 3px 0; max-width: 12rem; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; border-top: 1px solid var(--ms-edge); }
.mobstore-display .ms-axis { grid-column: 2; position: relative; height: 18px; font-size: 11px; }
.mobstore-display .ms-tick { position: absolute; white-space: nowrap; }
.mobstore-display .ms-lane { position: relative; overflow: hidden;
  border-top: 1px solid var(--ms-edge); background: repeating-linear-gradient(
    90deg, var(--ms-edge) 0 1px, transparent 1px var(--ms-step)); }
.mobstore-display .ms-bar { position: absolute; height: 18px; min-width: 3px; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; padding: 0 0 0 4px; font-size: 12px;
  line-height: 18px; border-radius: 2px;
  background: color-mix(in srgb, var(--ms-c) 24%, var(--ms-ground));
  border-left: 3px solid var(--ms-c); }
.mobstore-display .ms-scroll { overflow-x: auto; }
.mobstore-display table { border-collapse: collapse; table-layout: auto; font: inherit; margin: 0;
  color: inherit; }
.mobstore-display thead { border: 0; }
.mobstore-display thead tr, .mobstore-display tbody tr:nth-child(n) { background: none; }
.mobstore-display .ms-scroll table th, .mobstore-display .ms-scroll table td {
  text-align: left; vertical-align: top; padding: 2px 12px 2px 0; border: 0;
  border-bottom: 1px solid var(--ms-edge); line-height: 1.45; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.mobstore-display .ms-text { display: block; min-width: 12rem; max-width: 32rem;
  white-space: normal; overflow-wrap: anywhere; }
.mobstore-display .ms-scroll table th { font-weight: 400; }
.mobstore-display summary { cursor: pointer; margin-top: 8px; }
.mobstore-display code { font-size: 12px; background: var(--ms-raised); color: inherit;
  padding: 1px 4px; border-radius: 3px; }
"""

STYLE = re.sub(r"\s+", " ", _SHEET).strip()
"""The style sheet. The HTML of each display contains it, because it may be shown alone."""
