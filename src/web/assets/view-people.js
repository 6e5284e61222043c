/** The first screen: who do you want to be? Links, so that a second person can be opened in a second tab. */

import { h, icon } from './dom.js';

/** @param {object[]} users @param {object[]} pets */
export function peopleView(users, pets) {
  return h('main', { class: 'people' },
    h('header', { class: 'people-head' },
      h('p', { class: 'brand' }, icon('paw'), 'jivchat'),
      h('h1', {}, 'Who would you like to be?'),
      h('p', {}, 'This is a live chat of a pet marketplace. Choose a person, then open this page in a second tab as somebody else and talk to each other.'),
      h('p', { class: 'hindi', lang: 'hi' }, 'कोई एक नाम चुनें, और बात शुरू करें।')),
    h('ul', { class: 'people-list' }, ...users.map((user) => h('li', {}, personLink(user, pets)))));
}

function personLink(user, pets) {
  const offered = pets.filter(({ owner }) => owner === user._id).map(({ title }) => title);
  return h('a', { class: 'person', href: `?user=${encodeURIComponent(user._id)}`, data: { testid: `user-${user._id}` } },
    h('img', { class: 'avatar avatar-large', src: user.profilePicture, alt: '', width: 72, height: 72 }),
    h('span', { class: 'person-name' }, user.name),
    h('span', { class: 'person-role' }, offered.length > 0 ? `Offers: ${offered.join(', ')}` : 'Looking for a pet'));
}
