/** Wraps an asynchronous function so that it does not run twice at a time: calls during a run lead to one more
 * run after it. */
export function coalesced(/** @type {() => Promise<void>} */ run) {
  let isRunning = false, isStale = false;

  return async () => {
    isStale = true;
    if (isRunning) return;
    isRunning = true;
    try {
      while (isStale) {
        isStale = false;
        await run();
      }
    } finally {
      isRunning = false;
    }
  };
}
