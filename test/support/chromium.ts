import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { inflate } from '@sparticuz/chromium';
import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';

interface Program {
  readonly executablePath: string;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * A headless Chromium with all of its security switched on: `CHROMIUM_PATH`, else the one that npm `@sparticuz/chromium`
 * brings, else one on PATH. That package's own arguments are not used: they switch off what the tests are about.
 *
 * @param directory where the npm one is unpacked, some 250 MB
 * @throws Error if this machine has none
 */
export async function launchChromium(directory: string): Promise<Browser> {
  const { executablePath, env } = await findChromium(directory);
  return chromium.launch({ executablePath, env: { ...inherited(), ...env }, args: ['--disable-gpu'] });
}

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

async function findChromium(directory: string): Promise<Program> {
  const named = process.env['CHROMIUM_PATH'] ?? '';
  if (named !== '') return { executablePath: named, env: {} };
  if (process.platform === 'linux' && process.arch === 'x64') return unpack(directory);
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const installed = folders.flatMap((folder) => NAMES.map((name) => join(folder, name))).find(existsSync);
  if (installed === undefined) throw new Error('no Chromium on PATH: set CHROMIUM_PATH to one');
  return { executablePath: installed, env: {} };
}

/** With the libraries and fonts of the package, so that nothing need be installed on this machine. */
async function unpack(directory: string): Promise<Program> {
  const packed = join(dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium')), '..', 'bin');
  // `inflate` unpacks into the temporary directory and takes what already lies there, whoever put it there.
  const previous = process.env['TMPDIR'];
  process.env['TMPDIR'] = directory;
  try {
    for (const archive of ['chromium.br', 'fonts.tar.br', 'al2023.tar.br'])
      await inflate(join(packed, archive));
  } finally {
    if (previous === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = previous;
  }
  return {
    executablePath: join(directory, 'chromium'),
    env: { LD_LIBRARY_PATH: join(directory, 'al2023', 'lib'), FONTCONFIG_PATH: join(directory, 'fonts') },
  };
}

const inherited = (): Record<string, string> =>
  Object.fromEntries(
    ['PATH', 'HOME', 'TMPDIR', 'LANG'].flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
