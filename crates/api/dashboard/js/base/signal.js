// A value that tells who listens when it changes.

export function signal(value) {
  const listeners = new Set();
  return {
    get value() {
      return value;
    },
    set(next) {
      if (Object.is(value, next)) return;
      value = next;
      for (const listener of [...listeners]) listener(value);
    },
    /** Returns the function that ends it. */
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The signal's first value that is not null. */
export function known(source) {
  if (source.value !== null) return Promise.resolve(source.value);
  return new Promise((resolve) => {
    const end = source.subscribe((value) => {
      if (value === null) return;
      end();
      resolve(value);
    });
  });
}
