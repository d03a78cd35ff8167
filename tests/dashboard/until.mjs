// Waiting for what is observed, never for a time.

const PATIENCE_MS = Number(process.env.PATIENCE_S ?? 90) * 1000;
const PAUSE_MS = 100;

/** Asks again until the answer is true-ish, and gives it; an error after the deadline. */
export async function until(what, ask, patience = PATIENCE_MS) {
  const deadline = Date.now() + patience;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${patience / 1000} s in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

export const PATIENCE = PATIENCE_MS;
