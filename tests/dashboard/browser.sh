# Finds the browser and fetches what drives it and judges its pages; sourced by the tests of pages, with `root` set.
CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
[ -n "$CHROMIUM" ] || { echo "no Chromium: apt-get install chromium, or name one in CHROMIUM" >&2; exit 2; }

# the driver of the browser and the judge of accessibility, outside of what is committed
modules=${CARGO_TARGET_DIR:-$root/target}/dashboard-test
if [ ! -d "$modules/node_modules/playwright-core" ] || [ ! -d "$modules/node_modules/axe-core" ]; then
    mkdir -p "$modules"
    npm install --silent --no-save --no-package-lock --no-audit --no-fund --prefix "$modules" playwright-core@1.64.1 axe-core@4.14.1
fi
export CHROMIUM MODULES="$modules/node_modules"
