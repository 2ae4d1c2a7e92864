import { init, type EChartsOption, type SeriesOption } from 'echarts';
import { middle } from './markdown.ts';
import type { Plot, Result } from './result.ts';

const [WIDTH, HEIGHT] = [760, 340];
/** Readable on white and on black alike, for the picture has no background. */
const COLOURS = ['#3b82f6', '#e0701a', '#2f9e5b', '#a855f7', '#d6455d', '#8b8f98'];
const TEXT = '#7d8590';
const GRID = '#8b8f9855';

/** @returns an SVG document, the same for the same figures */
export function plotOf(result: Result, plot: Plot): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT });
  try {
    chart.setOption(optionOf(result, plot));
    // What is for a mouse goes: a picture on a page has none, and its names count the charts of this process.
    const svg = chart.renderToSVGString().replaceAll(/ (?:class|ecmeta_\w+|pointer-events)="[^"]*"/g, '');
    return `${svg.replace(/<style[^]*<\/style>\n?/, '')}\n`;
  } finally {
    chart.dispose();
  }
}

function optionOf(result: Result, plot: Plot): EChartsOption {
  const table = result.tables[plot.table];
  if (table === undefined) throw new Error(`${plot.name}: ${result.part} has no table ${plot.table}`);
  const text = { color: TEXT, fontSize: 13 };
  const line = { lineStyle: { color: GRID } };
  return {
    animation: false,
    color: COLOURS,
    textStyle: { fontFamily: 'Helvetica, Arial, sans-serif' },
    title: {
      text: table.title,
      left: 'center',
      textStyle: { ...text, width: WIDTH - 40, overflow: 'break' },
    },
    legend: { bottom: 0, textStyle: text },
    grid: { left: 70, right: 30, top: 70, bottom: 70 },
    xAxis: {
      type: 'category',
      data: table.rows.map(([name = '']) => (Array.isArray(name) ? middle(name) : (name as string | number))),
      ...{ axisLabel: text, axisLine: line },
    },
    yAxis: {
      type: plot.logarithmic === true ? 'log' : 'value',
      ...{ name: plot.unit, nameTextStyle: text, axisLabel: text, splitLine: line },
    },
    series: plot.columns.map((column): SeriesOption => ({
      type: plot.kind,
      name: table.header[column] ?? '',
      data: table.rows.map((row) => middle(row[column])).map((value) => (Number.isNaN(value) ? '-' : value)),
    })),
  };
}
