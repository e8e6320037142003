/** URLs without what lets in: user, password or token before the host is shown as `***`. Several are separated by commas. */
export const redactUrl = (urls: string): string =>
  urls
    .split(/,(?=[^,@]*:\/\/)/)
    // Greedy, and whatever the characters: a password may hold a slash or an at sign that should have been escaped.
    .map((url) => url.replace(/^(\s*[a-z][a-z0-9+.-]*:\/\/)?.*@/is, "$1***@"))
    .join(",");
