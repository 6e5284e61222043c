/** Small drawings of numbers as SVG: a line over time, and bars side by side. Knows nothing of what they mean. */

import { s } from './dom.js';

const [WIDTH, HEIGHT] = [320, 96];

/**
 * @param {{label: string, series: {name: string, values: number[]}[], unit?: string}} options
 * values are oldest first, evenly spaced; all series share one scale that begins at zero
 */
export function linePlot({ label, series, unit = '' }) {
  const top = niceTop(Math.max(0, ...series.flatMap(({ values }) => values)));
  const longest = Math.max(2, ...series.map(({ values }) => values.length));
  const x = (index, count) => ((longest - count + index) / (longest - 1)) * WIDTH;
  const y = (value) => HEIGHT - (value / top) * HEIGHT;
  const said = series.map(({ name, values }) => `${name} ${short(values.at(-1) ?? 0)}${unit}`).join(', ');
  const drawing = s('svg', { viewBox: `0 -6 ${WIDTH} ${HEIGHT + 12}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': `${label}: ${said}`, class: 'plot-lines' });
  for (const part of [0, 0.5, 1]) drawing.append(s('line', { x1: 0, x2: WIDTH, y1: y(top * part), y2: y(top * part), class: 'plot-grid' }));
  // The first is on top, and the ones below are wider: where they run together all are seen.
  const lines = series.map(({ values }, number) => {
    const points = values.map((value, index) => `${x(index, values.length).toFixed(1)},${y(value).toFixed(1)}`);
    if (points.length === 0) return undefined;
    if (number === 0 && points.length > 1) drawing.append(s('polygon', { points: [`${x(0, values.length).toFixed(1)},${HEIGHT}`, ...points, `${WIDTH},${HEIGHT}`].join(' '), class: 'plot-area' }));
    return s('polyline', { points: points.length > 1 ? points.join(' ') : `${points[0]} ${points[0]}`, class: `plot-line plot-line-${number}` });
  });
  drawing.append(...lines.filter(Boolean).reverse());
  return { drawing, top: `${short(top)}${unit}` };
}

/** @param {{label: string, values: number[]}} options one bar each, oldest first */
export function barPlot({ label, values }) {
  const top = niceTop(Math.max(0, ...values));
  const step = WIDTH / values.length;
  const drawing = s('svg', { viewBox: `0 -6 ${WIDTH} ${HEIGHT + 12}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': `${label}: ${short(values.at(-1) ?? 0)}`, class: 'plot-bars' });
  for (const part of [0, 0.5, 1]) drawing.append(s('line', { x1: 0, x2: WIDTH, y1: HEIGHT * part, y2: HEIGHT * part, class: 'plot-grid' }));
  values.forEach((value, index) => {
    const height = (value / top) * HEIGHT;
    drawing.append(s('rect', { x: index * step + step * 0.15, y: HEIGHT - height, width: step * 0.7, height, class: 'plot-bar' }));
  });
  return { drawing, top: short(top) };
}

/** The next of 1, 2, 5, 10, 20 … above a value. */
export function niceTop(value) {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= value);
}

/** 1234567 as 1.2M. */
export function short(value) {
  for (const [limit, unit] of [[1e9, 'G'], [1e6, 'M'], [1e4, 'k']]) {
    if (value >= limit) return `${(value / (unit === 'k' ? 1e3 : limit)).toFixed(1).replace(/\.0$/, '')}${unit}`;
  }
  return String(Math.round(value * 10) / 10);
}

export function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  return `${(value / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
