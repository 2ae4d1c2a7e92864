import {
  createRemoteJWKSet,
  errors,
  jwtVerify,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  type RemoteJWKSet,
} from 'jose';
import { IdentityUnavailableError, UnauthorizedError } from '#domain/base/errors.ts';
import { toUserId, type UserId } from '#domain/base/ids.ts';

export interface IdentitySettings {
  readonly jwksUrl: string;
  readonly issuer: string;
  readonly audience: string;
  /** How long after a fetch an unknown key id causes no other one; 5 s by default. */
  readonly cooldownMs?: number;
  /** How long fetched keys serve without another fetch; 10 minutes by default. */
  readonly cacheMaxAgeMs?: number;
}

/** Says whose token it is. Throws UnauthorizedError, or IdentityUnavailableError if that cannot be told. */
export type TokenVerifier = (token: string) => Promise<UserId>;

const FETCH_TIMEOUT_MS = 5_000;
/** Within it, a rotated-in key is refused; without it, every made-up key id would cost the issuer a request. */
const COOLDOWN_MS = 5_000;
/** A key that the issuer withdrew is accepted for at most this long. */
const CACHE_MAX_AGE_MS = 10 * 60_000;

/** Checks user tokens against the issuer's published keys (docs/platform.md section 9), which are fetched once and cached. */
export function createTokenVerifier(settings: IdentitySettings): TokenVerifier {
  const keys = createRemoteJWKSet(new URL(settings.jwksUrl), {
    timeoutDuration: FETCH_TIMEOUT_MS,
    cooldownDuration: settings.cooldownMs ?? COOLDOWN_MS,
    cacheMaxAge: settings.cacheMaxAgeMs ?? CACHE_MAX_AGE_MS,
  });
  const options: JWTVerifyOptions = {
    // Pinned: what the token claims about its algorithm decides nothing.
    algorithms: ['EdDSA'],
    issuer: settings.issuer,
    audience: settings.audience,
    requiredClaims: ['exp', 'sub'],
  };
  return async (token) => {
    try {
      return userIdOf(await subjectOf(token, keyResolver(keys), options));
    } catch (error) {
      if (error instanceof IdentityUnavailableError) throw error;
      // Which check failed is nobody's business; a token is good or it is not.
      throw new UnauthorizedError('a valid user token is required', { cause: error });
    }
  };
}

/** Tells a token that fits no key from keys that could not be fetched: only the first is the caller's fault. */
const keyResolver =
  (keys: RemoteJWKSet): JWTVerifyGetKey =>
  async (header, token) => {
    try {
      return await keys(header, token);
    } catch (error) {
      if (
        error instanceof errors.JWKSNoMatchingKey ||
        error instanceof errors.JWKSMultipleMatchingKeys ||
        error instanceof errors.JOSENotSupported
      ) {
        throw error;
      }
      throw new IdentityUnavailableError({ cause: error });
    }
  };

async function subjectOf(token: string, keys: JWTVerifyGetKey, options: JWTVerifyOptions): Promise<unknown> {
  try {
    return (await jwtVerify(token, keys, options)).payload.sub;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    // A token without key id while keys are being rotated: one of them may fit.
    for await (const key of error) {
      try {
        return (await jwtVerify(token, key, options)).payload.sub;
      } catch (failure) {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure;
      }
    }
    throw error;
  }
}

function userIdOf(subject: unknown): UserId {
  // Text that PostgreSQL cannot hold is no user id.
  if (typeof subject !== 'string' || !subject.isWellFormed() || subject.includes('\0')) {
    throw new TypeError('sub: found no usable text');
  }
  return toUserId(subject);
}
