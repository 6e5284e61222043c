/**
 * Which part of a long list of messages is on the page: a window over their numbers (`seq`) that moves as somebody scrolls,
 * so that a hundred thousand messages cost as much as a hundred. Pure; knows nothing of elements.
 */

/** Messages on the page at most. */
export const WINDOW = 160;
/** By how many it moves. */
export const STEP = 30;

export class MessageWindow {
  /** Whether it ends with the newest message, whichever that is. */
  pinned = true;
  /** The number of the first message, unless that follows from being pinned. */
  #first;

  /** @param {{seq: number}[]} messages ascending, without a gap @returns {[number, number]} the part to show, as indices */
  range(messages) {
    const { length } = messages;
    if (length === 0) return [0, 0];
    const asked = this.#first === undefined ? length - WINDOW : this.#first - messages[0].seq;
    const start = Math.max(0, this.pinned ? Math.max(asked, length - WINDOW) : Math.min(asked, length - 1));
    return [start, this.pinned ? length : Math.min(length, start + WINDOW)];
  }

  /** @returns {boolean} whether there was anything to move to */
  up(messages) {
    const [start] = this.range(messages);
    if (start === 0) return false;
    this.#moveTo(messages, start - STEP);
    return true;
  }

  down(messages) {
    if (this.pinned) return false;
    const [start] = this.range(messages);
    this.#moveTo(messages, start + STEP);
    return true;
  }

  /** So that this message is in the middle. */
  around(messages, index) {
    this.#moveTo(messages, index - WINDOW / 2);
  }

  pin() {
    this.pinned = true;
    this.#first = undefined;
  }

  /** From here on the window stays where it is when new messages come. */
  hold(messages) {
    if (this.#first !== undefined || messages.length === 0) return;
    const [start] = this.range(messages);
    this.#first = messages[start].seq;
  }

  #moveTo(messages, index) {
    const start = Math.max(0, Math.min(index, messages.length - 1));
    this.#first = messages[start].seq;
    this.pinned = start + WINDOW >= messages.length;
  }
}
