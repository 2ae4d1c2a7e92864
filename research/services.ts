import { createDeepResearch, type DeepResearch } from './deep.ts';
import { createShallowResearch, type ShallowResearch } from './shallow.ts';

/** What this server offers; null is switched off, and then no request leaves. */
export interface ResearchServices {
  readonly shallow: ShallowResearch | null;
  readonly deep: DeepResearch | null;
}

/** The clients of the configured services (docs/platform.md section 11). */
export const createResearchServices = (settings: {
  readonly shallowUrl: string | null;
  readonly deep: { readonly url: string; readonly serviceKey: string } | null;
}): ResearchServices => ({
  shallow: settings.shallowUrl === null ? null : createShallowResearch({ baseUrl: settings.shallowUrl }),
  deep:
    settings.deep === null
      ? null
      : createDeepResearch({ baseUrl: settings.deep.url, serviceKey: settings.deep.serviceKey }),
});
