/** With what an encrypted field begins (docs/platform.md section 5). */
export const CIPHERTEXT_PREFIX = 'enc:1:';
