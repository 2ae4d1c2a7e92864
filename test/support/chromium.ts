import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/**
 * Starts a headless Chromium of this machine: `CHROMIUM_PATH`, else the first on PATH.
 *
 * @throws Error if this machine has none
 */
export const launchChromium = (): Promise<Browser> =>
  chromium.launch({
    executablePath: findChromium(),
    // Its background requests are of no use to a test and fail on a machine without internet access.
    args: ['--disable-gpu', '--disable-background-networking', '--no-first-run'],
  });

function findChromium(): string {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const onPath = folders.flatMap((folder) => NAMES.map((name) => join(folder, name))).find(existsSync);
  const path = process.env['CHROMIUM_PATH'] ?? onPath;
  if (path === undefined) throw new Error('no Chromium on PATH: install one or set CHROMIUM_PATH to one');
  return path;
}
