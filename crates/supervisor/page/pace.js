// The times of the last blocks, from the heights that were read. Pure.

const KEPT = 120;

export class Pace {
  #last = null;
  times = [];

  see(height, at) {
    if (height === null || at === null) return;
    const then = Date.parse(at);
    if (this.#last) {
      if (this.#last.height === height) return;
      // Other data, or a clock that was set: what was seen says nothing any more.
      if (this.#last.height > height || this.#last.then >= then) this.times = [];
      else this.times.push((then - this.#last.then) / (height - this.#last.height));
      if (this.times.length > KEPT) this.times.shift();
    }
    this.#last = { height, then };
  }
}
