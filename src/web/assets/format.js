/** How prices, times, languages and messages in one line are shown. Pure; knows nothing of the page or the server. */

import { locale, t } from './language.js';

const RUPEES = new Intl.NumberFormat('en-IN', { style: 'currency', currency: 'INR', maximumFractionDigits: 0 });
const CLOCK = new Intl.DateTimeFormat(locale, { hour: 'numeric', minute: '2-digit' });
const WEEKDAY = new Intl.DateTimeFormat(locale, { weekday: 'long' });
const SHORT_DATE = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short' });
const LONG_DATE = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'long', year: 'numeric' });
const DAY_MS = 86_400_000;

/** ₹1,25,000: lakhs and crores are grouped the Indian way. A pet that was removed has no price any more. */
export function price(rupees) {
  if (rupees === null || rupees === undefined) return '';
  return rupees === 0 ? t('price.free') : RUPEES.format(rupees);
}

export function clock(time) {
  return CLOCK.format(new Date(time));
}

/** For the chat list: the time today, the weekday this week, else the date. */
export function when(time, now = new Date()) {
  const days = daysBetween(new Date(time), now);
  if (days <= 0) return clock(time);
  if (days === 1) return t('day.yesterday');
  return days < 7 ? WEEKDAY.format(new Date(time)) : SHORT_DATE.format(new Date(time));
}

/** For the line between two days of a conversation. */
export function day(time, now = new Date()) {
  const days = daysBetween(new Date(time), now);
  if (days <= 0) return t('day.today');
  if (days === 1) return t('day.yesterday');
  return days < 7 ? WEEKDAY.format(new Date(time)) : LONG_DATE.format(new Date(time));
}

export function lastSeen(time, now = new Date()) {
  if (!time) return t('presence.offline');
  const minutes = Math.floor((now - new Date(time)) / 60_000);
  if (minutes < 1) return t('presence.justNow');
  if (minutes < 60) return t('presence.minutes', { count: minutes });
  const days = daysBetween(new Date(time), now);
  return days <= 0 ? t('presence.at', { time: clock(time) }) : t('presence.on', { time: when(time, now) });
}

export function age(months) {
  if (months < 12) return t('age.months', { count: months });
  const years = t('age.years', { count: Math.floor(months / 12) });
  return months % 12 ? t('age.rest', { years, count: months % 12 }) : years;
}

/** Messages mix Hindi and English; the larger share decides how a screen reader pronounces one. */
export function language(text) {
  const devanagari = text.match(/[\u0900-\u097F]/g)?.length ?? 0;
  const latin = text.match(/[A-Za-z]/g)?.length ?? 0;
  return devanagari > latin ? 'hi' : 'en';
}

/** One line about a message. @param {object|null} message */
export function preview(message) {
  if (!message) return t('preview.empty');
  if (message.isDeleted) return t('message.deleted');
  if (message.messageType === 'text') return message.content;
  const kind = message.messageType === 'image' ? t('preview.image') : t('preview.video');
  return /^Sent (image|video)$/.test(message.content) ? kind : t('preview.caption', { kind, text: message.content });
}

function daysBetween(earlier, later) {
  const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());
  return Math.round((midnight(later) - midnight(earlier)) / DAY_MS);
}
