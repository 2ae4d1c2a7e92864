import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { arrowsIn, namesIn, PRODUCT_FOLDERS, type Arrow } from './draw-rooms.ts';

/** How large the product is and how it hangs together; tests are none of it. */
export interface HouseFigures {
  readonly files: number;
  readonly lines: number;
  /** Nine of ten files have no more lines than this. */
  readonly fileP90: number;
  readonly functions: number;
  /** Of functions with a body in braces, from its first line to its last. */
  readonly functionP90: number;
  readonly filesUnder20: number;
  /** Folders of the product, and arrows between them. */
  readonly folders: string;
  /** Rooms of `domain/`, the planner as one, and arrows between them. */
  readonly rooms: string;
  /** Likewise where each room of the planner counts. */
  readonly subRooms: string;
}

/** @param tree a checkout of this repository, of whatever age */
export async function houseFigures(tree: string): Promise<HouseFigures> {
  const files = PRODUCT_FOLDERS.flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: tree }))
    .concat(['config.ts', 'worker.ts'].filter((file) => existsSync(join(tree, file))))
    .filter((file) => !file.endsWith('.test.ts'));
  const texts = files.map((file) => readFileSync(join(tree, file), 'utf8'));
  const lines = texts.map((text) => text.split('\n').length - 1);
  const functions = texts.flatMap(functionLines);
  const { folders, rooms, subRooms } = await arrowsIn(tree);
  return {
    files: files.length,
    lines: lines.reduce((sum, each) => sum + each, 0),
    fileP90: p90(lines),
    functions: functions.length,
    functionP90: p90(functions),
    filesUnder20: lines.filter((each) => each < 20).length,
    ...{ folders: counted(folders), rooms: counted(rooms), subRooms: counted(subRooms) },
  };
}

const counted = (arrows: readonly Arrow[]): string => `${namesIn(arrows).length}, ${arrows.length}`;

function functionLines(text: string): number[] {
  const source = ts.createSourceFile('file.ts', text, ts.ScriptTarget.Latest);
  const found: number[] = [];
  const lineOf = (position: number): number => source.getLineAndCharacterOfPosition(position).line;
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined && ts.isBlock(node.body))
      found.push(lineOf(node.end) - lineOf(node.getStart(source)) + 1);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const p90 = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.ceil(values.length * 0.9) - 1] ?? 0;
