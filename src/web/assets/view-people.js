/** The first screen: who do you want to be? Links, so that a second person can be opened in a second tab. */

import { avatar, h, icon } from './dom.js';
import { t } from './language.js';
import { settingsButton } from './view-signin.js';

/** @param {object[]} users @param {object[]} pets */
export function peopleView(users, pets) {
  return h('main', { class: 'people' },
    h('header', { class: 'people-head' },
      h('div', { class: 'brand-row' }, h('p', { class: 'brand' }, icon('paw'), t('app.title')), settingsButton()),
      h('h1', {}, t('people.title')),
      h('p', {}, t('people.text'))),
    h('ul', { class: 'people-list' }, ...users.map((user) => h('li', {}, personLink(user, pets)))),
    h('p', { class: 'people-docs' }, h('a', { href: '/docs' }, t('people.docs'))));
}

function personLink(user, pets) {
  const offered = pets.filter(({ owner }) => owner === user._id).map(({ title }) => title);
  return h('a', { class: 'person', href: `?user=${encodeURIComponent(user._id)}`, data: { testid: `user-${user._id}` } },
    avatar(user, 72, 'avatar-large'),
    h('span', { class: 'person-name' }, user.name),
    h('span', { class: 'person-role' }, offered.length > 0 ? t('people.offers', { pets: offered.join(', ') }) : t('people.looking')));
}
