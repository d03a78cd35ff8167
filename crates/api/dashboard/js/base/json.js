// JSON with exact integers. Amounts go up to 2^63; JSON.parse would round whatever lies above 2^53, and
// what was rounded must not be signed. An integer that a Number cannot hold becomes a BigInt, here and back.

const LONG_NUMBER = /(?:^|[:[,\s])-?\d{16}/;
const SPACE = /[ \t\r\n]*/y;
const ATOM = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** Parses a JSON text; throws a SyntaxError for anything else. */
export function parse(source) {
  // nothing to be careful about: leave it to the engine, which is fast
  return LONG_NUMBER.test(source) ? new Reader(source).whole() : JSON.parse(source);
}

/** Writes a value as JSON; a BigInt is written as the integer that it is. */
export function stringify(value, indent = "") {
  return write(value, indent, "") ?? "null";
}

class Reader {
  #source;
  #at = 0;

  constructor(source) {
    this.#source = source;
  }

  whole() {
    const value = this.#value();
    this.#skip();
    if (this.#at < this.#source.length) this.#refuse("the end");
    return value;
  }

  #value() {
    this.#skip();
    const mark = this.#source[this.#at];
    if (mark === "{") return this.#object();
    if (mark === "[") return this.#array();
    if (mark === '"') return this.#string();
    return this.#atom();
  }

  #object() {
    const object = {};
    this.#expect("{");
    if (this.#took("}")) return object;
    do {
      this.#skip();
      const name = this.#string();
      this.#expect(":");
      // defined, not assigned: "__proto__" is a name like any other
      Object.defineProperty(object, name, {
        value: this.#value(),
        enumerable: true,
        writable: true,
        configurable: true,
      });
    } while (this.#took(","));
    this.#expect("}");
    return object;
  }

  #array() {
    const array = [];
    this.#expect("[");
    if (this.#took("]")) return array;
    do array.push(this.#value());
    while (this.#took(","));
    this.#expect("]");
    return array;
  }

  // By hand and not by a pattern: a raw block is one string of megabytes.
  #string() {
    if (this.#source[this.#at] !== '"') this.#refuse("a string");
    let end = this.#at;
    let escaped = true;
    while (escaped) {
      end = this.#source.indexOf('"', end + 1);
      if (end < 0) this.#refuse("a string that ends");
      let slashes = 0;
      while (this.#source[end - 1 - slashes] === "\\") slashes += 1;
      escaped = slashes % 2 === 1;
    }
    const literal = this.#source.slice(this.#at, end + 1);
    this.#at = end + 1;
    return JSON.parse(literal);
  }

  #atom() {
    ATOM.lastIndex = this.#at;
    const [word] = ATOM.exec(this.#source) ?? this.#refuse("a value");
    this.#at = ATOM.lastIndex;
    const value = JSON.parse(word);
    return typeof value !== "number" || /[.eE]/.test(word) || Number.isSafeInteger(value) ? value : BigInt(word);
  }

  #took(mark) {
    this.#skip();
    if (this.#source[this.#at] !== mark) return false;
    this.#at += 1;
    return true;
  }

  #expect(mark) {
    if (!this.#took(mark)) this.#refuse(mark);
  }

  #skip() {
    SPACE.lastIndex = this.#at;
    SPACE.exec(this.#source);
    this.#at = SPACE.lastIndex;
  }

  #refuse(wanted) {
    throw new SyntaxError(`not JSON: expected ${wanted} at character ${this.#at}`);
  }
}

function write(value, indent, margin) {
  if (typeof value === "bigint") return value.toString();
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const inner = margin + indent;
  const list = Array.isArray(value);
  const parts = list
    ? value.map((item) => write(item, indent, inner) ?? "null")
    : Object.entries(value)
        .map(([name, item]) => [name, write(item, indent, inner)])
        .filter(([, item]) => item !== undefined)
        .map(([name, item]) => `${JSON.stringify(name)}:${indent && " "}${item}`);
  const [open, close] = list ? "[]" : "{}";
  if (!parts.length) return open + close;
  return indent ? `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${margin}${close}` : open + parts.join(",") + close;
}
