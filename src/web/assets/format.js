/** How prices, times, languages and messages in one line are shown. Pure; knows nothing of the page or the server. */

const RUPEES = new Intl.NumberFormat('en-IN', { style: 'currency', currency: 'INR', maximumFractionDigits: 0 });
const CLOCK = new Intl.DateTimeFormat('en-IN', { hour: 'numeric', minute: '2-digit' });
const WEEKDAY = new Intl.DateTimeFormat('en-IN', { weekday: 'long' });
const SHORT_DATE = new Intl.DateTimeFormat('en-IN', { day: 'numeric', month: 'short' });
const LONG_DATE = new Intl.DateTimeFormat('en-IN', { day: 'numeric', month: 'long', year: 'numeric' });
const DAY_MS = 86_400_000;

/** ₹1,25,000: lakhs and crores are grouped the Indian way. A pet that was removed has no price any more. */
export function price(rupees) {
  if (rupees === null || rupees === undefined) return '';
  return rupees === 0 ? 'Free' : RUPEES.format(rupees);
}

export function clock(time) {
  return CLOCK.format(new Date(time));
}

/** For the chat list: the time today, the weekday this week, else the date. */
export function when(time, now = new Date()) {
  const days = daysBetween(new Date(time), now);
  if (days <= 0) return clock(time);
  if (days === 1) return 'Yesterday';
  return days < 7 ? WEEKDAY.format(new Date(time)) : SHORT_DATE.format(new Date(time));
}

/** For the line between two days of a conversation. */
export function day(time, now = new Date()) {
  const days = daysBetween(new Date(time), now);
  if (days <= 0) return 'Today';
  if (days === 1) return 'Yesterday';
  return days < 7 ? WEEKDAY.format(new Date(time)) : LONG_DATE.format(new Date(time));
}

export function lastSeen(time, now = new Date()) {
  if (!time) return 'offline';
  const minutes = Math.floor((now - new Date(time)) / 60_000);
  if (minutes < 1) return 'last seen just now';
  if (minutes < 60) return `last seen ${minutes} min ago`;
  const days = daysBetween(new Date(time), now);
  return days <= 0 ? `last seen at ${clock(time)}` : `last seen ${when(time, now)}`;
}

export function age(months) {
  if (months < 12) return `${months} month${months === 1 ? '' : 's'}`;
  const years = Math.floor(months / 12);
  const rest = months % 12;
  return `${years} year${years === 1 ? '' : 's'}${rest ? ` ${rest} mo` : ''}`;
}

/** Messages mix Hindi and English; the larger share decides how a screen reader pronounces one. */
export function language(text) {
  const devanagari = text.match(/[\u0900-\u097F]/g)?.length ?? 0;
  const latin = text.match(/[A-Za-z]/g)?.length ?? 0;
  return devanagari > latin ? 'hi' : 'en';
}

/** One line about a message. @param {object|null} message */
export function preview(message) {
  if (!message) return 'Say hello';
  if (message.isDeleted || message.messageType === 'text') return message.content;
  const kind = message.messageType === 'image' ? '📷 Picture' : '🎬 Video';
  return /^Sent (image|video)$/.test(message.content) ? kind : `${kind}: ${message.content}`;
}

function daysBetween(earlier, later) {
  const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());
  return Math.round((midnight(later) - midnight(earlier)) / DAY_MS);
}
