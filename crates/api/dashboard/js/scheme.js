// Light or dark: as the system says, unless the operator chose. Runs before the page is painted, so it never flashes.
(() => {
  const KEY = "baton.scheme";
  const root = document.documentElement;
  const apply = (scheme) => {
    if (scheme === "light" || scheme === "dark") root.dataset.scheme = scheme;
    else delete root.dataset.scheme;
  };
  const stored = () => {
    try {
      return localStorage.getItem(KEY) ?? "system";
    } catch {
      return "system"; // storage is switched off
    }
  };
  apply(stored());
  window.batonScheme = {
    get: stored,
    set(scheme) {
      try {
        localStorage.setItem(KEY, scheme);
      } catch {
        // it holds until the page is loaded again
      }
      apply(scheme);
    },
  };
})();
