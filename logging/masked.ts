/** Takes passwords and connection strings out of a message, whoever wrote it. */
export function masked(message: string, urls: readonly string[]): string {
  const passwords = urls.flatMap((url) => {
    const found = /^[^:]*:\/\/[^:@/]*:([^@]*)@/.exec(url)?.[1];
    return found === undefined || found === '' ? [] : [found, decoded(found)];
  });
  const withoutUrls = message.replaceAll(/[^\s'"]+/g, maskedUrl);
  return passwords.reduce((text, password) => text.replaceAll(password, '***'), withoutUrls);
}

/** From `//` to the last `@`. */
const maskedUrl = (word: string): string => {
  const [scheme, at] = [word.indexOf('://'), word.lastIndexOf('@')];
  return scheme > 0 && at > scheme ? `${word.slice(0, scheme)}://***${word.slice(at)}` : word;
};

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};
