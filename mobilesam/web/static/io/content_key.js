// The key under which the work in a photo is kept.

/** The SHA-256 digest of a file's content in hexadecimal; pages that are not served by HTTPS or from this machine cannot
 * compute it, and get what the file says about itself. @param {File} file */
export async function contentKey(file) {
  if (!crypto.subtle) return [file.size, file.lastModified, file.name].join('-');
  const digest = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
