import { describe, expect, it } from 'vitest';
import {
  createOwner,
  expectRefusal,
  grantOf,
  issuer,
  mint,
  setUpGrantApi,
  startApp,
} from '#test/support/grant-api.ts';

setUpGrantApi();

describe('the keys of user tokens', () => {
  it('may be rotated: the new one is accepted, the old one no longer', async () => {
    const app = await startApp();
    const { userId, token } = await createOwner();
    grantOf(await mint(app, token));
    await issuer.rotate({ keepOldKeys: true });
    const renewed = await issuer.issueToken({ sub: userId });
    grantOf(await mint(app, renewed));
    grantOf(await mint(app, token));
    await issuer.rotate();
    grantOf(await mint(app, await issuer.issueToken({ sub: userId })));
    await expectRefusal(mint(app, token), { status: 401, code: 'UNAUTHORIZED' });
  });

  it('that were fetched serve on while the issuer is down', async () => {
    const app = await startApp();
    const { token } = await createOwner();
    grantOf(await mint(app, token));
    await issuer.close();
    grantOf(await mint(app, token));
    expect(issuer.requests()).toBe(1);
  });
});
