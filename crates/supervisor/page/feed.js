// News from the supervisor: server-sent events, taken up again where they broke off.

const PAUSES = { first: 1_000, longest: 30_000 };

/** Calls hear.status({ now, status }), hear.record(record), hear.live() and hear.gone(seconds until the next try). */
export function listen(address, hear) {
  let pause = PAUSES.first;
  let last = null;

  const connect = () => {
    const url = new URL(address, document.baseURI);
    if (last === null) url.searchParams.set("last", "500");
    else url.searchParams.set("since", String(last));
    url.searchParams.set("follow", "1");
    const source = new EventSource(url);
    source.addEventListener("open", () => {
      pause = PAUSES.first;
      hear.live();
    });
    source.addEventListener("status", ({ data }) => hear.status(JSON.parse(data)));
    source.addEventListener("message", ({ data, lastEventId }) => {
      last = Number(lastEventId);
      hear.record(JSON.parse(data));
    });
    // The browser would try again at a pace of its own, and never after an answer such as "too many".
    source.addEventListener("error", () => {
      source.close();
      hear.gone(pause / 1000);
      setTimeout(connect, pause);
      pause = Math.min(pause * 2, PAUSES.longest);
    });
  };
  connect();
}
