/** The marketplace: what is offered, and the way to the seller. */

import { h, icon, petPicture } from './dom.js';
import { age, price } from './format.js';
import { t } from './language.js';

/** @param {{onask: (pet: object) => void, users: Map<string, object>}} options */
export function petsView(model, { onask, users }) {
  // What one can ask about comes before one's own listings.
  const isMine = (pet) => pet.owner === model.me._id;
  const pets = model.pets.toSorted((a, b) => isMine(a) - isMine(b));
  return h('section', { class: 'pets', 'aria-labelledby': 'pets-title' },
    h('header', { class: 'pets-head' },
      h('a', { class: 'icon-button only-narrow', href: '#', 'aria-label': t('chat.back') }, icon('back')),
      h('div', {}, h('h2', { id: 'pets-title' }, t('pets.title')), h('p', {}, t('pets.text')))),
    h('ul', { class: 'pet-grid' }, ...pets.map((pet) => petCard(pet, users.get(pet.owner), isMine(pet), onask))));
}

function petCard(pet, seller, isMine, onask) {
  const facts = [pet.breed, pet.ageMonths && age(pet.ageMonths), pet.vaccinated && t('pets.vaccinated')];
  return h('li', { class: 'pet-card', data: { testid: pet._id } },
    petPicture(pet, 320, { class: 'pet-picture', alt: pet.title, loading: 'lazy' }),
    h('div', { class: 'pet-body' },
      h('p', { class: 'pet-price' }, price(pet.price)),
      h('h3', {}, pet.title),
      h('p', { class: 'pet-facts' }, facts.filter(Boolean).map(unbroken).join(' · ')),
      h('p', { class: 'pet-place' }, [pet.address, seller && !isMine && t('pets.from', { name: seller.name })].filter(Boolean).join(' · ')),
      isMine
        ? h('p', { class: 'pet-mine' }, t('pets.mine'))
        : h('button', { class: 'button button-strong', type: 'button', data: { testid: `ask-${pet._id}` }, on: { click: () => onask(pet) } }, icon('chats'), t('pets.ask'))));
}

/** A line may end between two facts, not inside one. */
function unbroken(fact) {
  return fact.replaceAll(' ', '\u00a0');
}
