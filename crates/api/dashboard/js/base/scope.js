// What lives as long as a page is shown: its listeners, timers and requests end with it.

export class Scope {
  #ends = [];
  #abort = new AbortController();

  get alive() {
    return !this.#abort.signal.aborted;
  }

  /** For fetch: aborted when the scope ends. */
  get signal() {
    return this.#abort.signal;
  }

  ending(end) {
    if (this.alive) this.#ends.push(end);
    else end();
  }

  /** Calls back now and at every change of a signal. */
  on(source, listener) {
    this.ending(source.subscribe(listener));
    listener(source.value);
  }

  /** Calls back at every change of a signal. */
  after(source, listener) {
    this.ending(source.subscribe(listener));
  }

  every(milliseconds, action) {
    const timer = setInterval(action, milliseconds);
    this.ending(() => clearInterval(timer));
  }

  listen(target, event, listener) {
    target.addEventListener(event, listener);
    this.ending(() => target.removeEventListener(event, listener));
  }

  /** A scope that ends with this one, or before. */
  child() {
    const child = new Scope();
    this.ending(() => child.end());
    return child;
  }

  end() {
    this.#abort.abort();
    for (const end of this.#ends.splice(0).reverse()) end();
  }
}
