/** The drawing of a timeline on a canvas: one lane for each member, and only the visible part. */
import { name, formatDuration, visible } from "./format.js";

const BAR = 20;
const ROWS = 100; // of one member; more overlapping bars share the last row
const AXIS = 24;
const FAINT = new Map([["dispatched", 0.5], ["skipped", 0.35], ["canceled", 0.35]]); // by status
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5, 108e5, 432e5, 864e5];

export class Drawing {
  #pen;
  #line; // the timeline
  #order = []; // bars with a start, sorted by it
  #rows = []; // the row of each bar within its lane
  #lanes = []; // the first row of each member
  #widths = new Map(); // of texts
  height = 0; // of all lanes

  constructor(canvas) {
    this.canvas = canvas;
    this.#pen = canvas.getContext("2d");
  }

  /** Set the timeline. Overlapping bars of one member are stacked. */
  setTimeline(line) {
    this.#line = line;
    const { bars } = line;
    const ends = line.members.map(() => []);
    this.#order = [...bars.keys()].filter((index) => bars[index].start_ms !== null).sort((a, b) => bars[a].start_ms - bars[b].start_ms);
    this.#rows = [];
    for (const index of this.#order) {
      const taken = ends[bars[index].lane];
      const free = taken.findIndex((end) => end <= bars[index].start_ms);
      this.#rows[index] = free < 0 ? Math.min(taken.length, ROWS - 1) : free;
      taken[this.#rows[index]] = this.#end(index);
    }
    let below = 0;
    this.#lanes = ends.map(({ length }) => (below += Math.max(1, length)) - Math.max(1, length));
    this.height = AXIS + below * BAR + 8;
  }

  #end = (index) => this.#line.bars[index].end_ms ?? this.#line.end_ms;

  /** Set the visible part, in pixels of the whole drawing; return the width of the whole. */
  setViewport({ left, top, width, tall, zoom }) {
    Object.assign(this, { left, top, width, tall, gutter: Math.min(140, width / 4) });
    const ms = Math.max(1, this.#line.end_ms - this.#line.start_ms);
    this.scale = ((width - this.gutter - 12) * zoom) / ms;
    return this.gutter + 12 + this.scale * ms;
  }

  /** Return the box of a bar in the visible part; undefined if it has no time. */
  box(index) {
    if (this.#rows[index] === undefined) return undefined;
    const { start_ms, lane } = this.#line.bars[index];
    return {
      x: this.gutter + (start_ms - this.#line.start_ms) * this.scale - this.left,
      y: AXIS + (this.#lanes[lane] + this.#rows[index]) * BAR - this.top,
      wide: Math.max(3, (this.#end(index) - start_ms) * this.scale),
    };
  }

  /** Return the distance to scroll to bring a bar into view. */
  scrollTo(index) {
    const { x, y, wide } = this.box(index) ?? { x: this.gutter, y: AXIS, wide: 1 };
    return {
      left: x + wide < this.gutter || x > this.width ? x - this.width / 3 : 0,
      top: y < AXIS || y > this.tall - BAR ? y - this.tall / 2 : 0,
    };
  }

  /** Return the bar at a point of the visible part, or -1. */
  hit(atX, atY) {
    if (atX < this.gutter || atY < AXIS) return -1;
    return this.#order.findLast((index) => {
      const { x, y, wide } = this.box(index);
      return atX >= x - 2 && atX <= x + wide + 2 && atY >= y && atY < y + BAR;
    }) ?? -1;
  }

  /** @param {{ground: string, text: string, font: string, current: number, status: Map<string, string>}} style  colours, font, current bar */
  draw({ ground, text, font, current, status }) {
    const { canvas, width, tall, gutter } = this;
    const pen = this.#pen;
    const sharp = devicePixelRatio;
    if (canvas.width !== Math.round(width * sharp) || canvas.height !== Math.round(tall * sharp)) {
      [canvas.width, canvas.height] = [Math.round(width * sharp), Math.round(tall * sharp)];
      [canvas.style.width, canvas.style.height] = [`${width}px`, `${tall}px`];
    }
    pen.setTransform(sharp, 0, 0, sharp, 0, 0);
    pen.fillStyle = ground;
    pen.fillRect(0, 0, width, tall);
    pen.font = `12px ${font}`;
    pen.textBaseline = "middle";
    pen.fillStyle = pen.strokeStyle = text;
    this.#grid(width, tall);

    for (const index of this.#order) {
      const { x, y, wide } = this.box(index);
      if (x > width) break;
      if (x + wide < gutter || y > tall || y + BAR < AXIS) continue;
      const bar = this.#line.bars[index];
      const from = Math.max(x, gutter - 6);
      const to = Math.min(x + wide, width) - (wide > 4 ? 1 : 0);
      pen.fillStyle = ground;
      pen.fillRect(from, y + 3, to - from, BAR - 6);
      pen.fillStyle = status.get(bar.status) ?? text;
      pen.globalAlpha = FAINT.get(bar.status) ?? 1;
      pen.fillRect(from, y + 3, to - from, BAR - 6);
      pen.globalAlpha = 1;
      if (bar.status === "failed") pen.fillRect(from, y + 1, Math.min(to - from, 3), BAR - 2);
      if (index === current) pen.strokeRect(from - 1, y + 1.5, to - from + 2, BAR - 3);
      if (to - from > 36) this.#write(visible(name(bar.step_id)), from + 5, y + BAR / 2, to - from - 10, FAINT.has(bar.status) ? text : ground);
    }

    pen.fillStyle = ground;
    pen.fillRect(0, 0, gutter - 6, tall);
    this.#line.members.forEach((member, lane) => {
      this.#write(visible(name(member)), 8, AXIS + (this.#lanes[lane] + 0.5) * BAR - this.top, gutter - 20, text);
    });
    pen.fillStyle = ground;
    pen.fillRect(0, 0, width, AXIS - 1);
    this.#axis(text);
  }

  #ticks(mark) {
    const step = STEPS.find((step) => step * this.scale >= 110) ?? Math.ceil(110 / this.scale / 864e5) * 864e5;
    for (let at = Math.floor(this.left / this.scale / step) * step; ; at += step) {
      const x = this.gutter + at * this.scale - this.left;
      if (x > this.width) break;
      if (x >= this.gutter - 1) mark(x, at);
    }
  }

  #grid(width, tall) {
    this.#pen.globalAlpha = 0.12;
    for (const row of this.#lanes) this.#pen.fillRect(0, AXIS + row * BAR - this.top - 0.5, width, 1);
    this.#ticks((x) => this.#pen.fillRect(x, AXIS, 1, tall));
    this.#pen.globalAlpha = 1;
  }

  #axis(text) {
    this.#pen.fillStyle = text;
    this.#ticks((x, at) => this.#pen.fillText(at === 0 ? "0" : `+${formatDuration(at)}`, x + 3, AXIS / 2));
  }

  /** Draw text, cut to a width. */
  #write(text, x, y, width, color) {
    if (!this.#widths.has(text)) this.#widths.set(text, this.#pen.measureText(text).width);
    const whole = this.#widths.get(text);
    const fits = whole <= width ? text : `${text.slice(0, Math.max(0, Math.floor((text.length * width) / whole) - 1))}…`;
    this.#pen.fillStyle = color;
    this.#pen.fillText(fits, x, y);
  }
}
