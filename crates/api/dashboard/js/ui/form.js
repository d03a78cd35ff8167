// Forms: labelled fields, one button, and the node's answer right below it. While the node works the form waits, so that
// nothing is sent twice.

import { h, put } from "../base/dom.js";
import { problem } from "./problem.js";

let count = 0;

/** A labelled control. hint stands below it; `control.complain(text)` marks it as wrong. */
export function field(label, control, { hint, class: kind = "" } = {}) {
  const id = (control.id ||= `field-${(count += 1)}`);
  const trouble = h("span.field-trouble", { id: `${id}-trouble`, role: "alert" });
  const note = hint ? h("span.field-hint", { id: `${id}-hint` }, hint) : null;
  control.setAttribute("aria-describedby", [note && `${id}-hint`, `${id}-trouble`].filter(Boolean).join(" "));
  control.complain = (text) => {
    put(trouble, text ?? "");
    control.toggleAttribute("aria-invalid", Boolean(text));
    if (text) control.setAttribute("aria-invalid", "true");
  };
  control.addEventListener("input", () => control.complain(null));
  return h("div.field", { class: kind }, h("label", { for: id }, label), control, note, trouble);
}

export const input = (props = {}) =>
  h("input", { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "off", ...props });

export const password = (props = {}) => input({ type: "password", autocomplete: "off", ...props });

/** @param choices [[value, text], …] */
export function select(choices, { value, ...props } = {}) {
  return choose(h("select", props), choices, value);
}

/** Gives a select other choices; the chosen one stays if it is still there. */
export function choose(control, choices, wanted = control.value) {
  put(
    control,
    choices.map(([value, words]) => h("option", { value }, words)),
  );
  if (choices.some(([value]) => value === wanted)) control.value = wanted;
  return control;
}

export function check(label, props = {}) {
  const box = h("input", { type: "checkbox", ...props });
  const element = h("label.check", box, h("span", label));
  return Object.assign(element, { box });
}

/** Thrown by an action to mark one control as wrong. */
export class Wrong extends Error {
  constructor(control, text) {
    super(text);
    this.control = control;
  }
}

/** Throws Wrong unless the control holds something. */
export function required(control, text = "Fill this in") {
  const value = control.value.trim();
  if (!value) throw new Wrong(control, text);
  return value;
}

/**
 * @param options { fields, submit: the button's text, act: async () => element to show or nothing, danger, secondary }
 */
export function form({ fields, submit, act, danger = false, secondary = [] }) {
  const button = h("button", { type: "submit", class: danger ? "danger" : "primary" }, submit);
  const answer = h("div.form-answer");
  const element = h("form", { novalidate: true }, fields, h("div.form-actions", button, secondary), answer);
  let busy = false;
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    element.setAttribute("aria-busy", "true");
    button.disabled = true;
    put(answer);
    try {
      put(answer, (await act()) ?? null);
    } catch (failure) {
      complain(failure, answer);
    } finally {
      busy = false;
      button.disabled = false;
      element.removeAttribute("aria-busy");
    }
  });
  return Object.assign(element, { button, answer });
}

function complain(failure, answer) {
  if (failure.name === "AbortError") return;
  if (failure instanceof Wrong) {
    failure.control.complain(failure.message);
    failure.control.closest("details")?.setAttribute("open", "");
    failure.control.focus();
    return;
  }
  if (failure.name !== "Failure") console.error(failure);
  put(answer, problem(failure));
}
