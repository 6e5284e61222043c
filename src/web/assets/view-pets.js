/** The marketplace: what is offered, and the way to the seller. */

import { h, icon } from './dom.js';
import { age, price } from './format.js';

/** @param {{onask: (pet: object) => void, users: Map<string, object>}} options */
export function petsView(model, { onask, users }) {
  // What one can ask about comes before one's own listings.
  const isMine = (pet) => pet.owner === model.me._id;
  const pets = model.pets.toSorted((a, b) => isMine(a) - isMine(b));
  return h('section', { class: 'pets', 'aria-labelledby': 'pets-title' },
    h('header', { class: 'pets-head' },
      h('a', { class: 'icon-button only-narrow', href: '#', 'aria-label': 'Back to conversations' }, icon('back')),
      h('div', {}, h('h1', { id: 'pets-title' }, 'Pets near you'), h('p', {}, 'Ask the seller; the answer comes live.'))),
    h('ul', { class: 'pet-grid' }, ...pets.map((pet) => petCard(pet, users.get(pet.owner), isMine(pet), onask))));
}

function petCard(pet, seller, isMine, onask) {
  return h('li', { class: 'pet-card', data: { testid: pet._id } },
    h('img', { class: 'pet-picture', src: pet.images[0]?.url ?? '', alt: pet.title, width: 320, height: 320, loading: 'lazy' }),
    h('div', { class: 'pet-body' },
      h('p', { class: 'pet-price' }, price(pet.price)),
      h('h2', {}, pet.title),
      h('p', { class: 'pet-facts' }, [pet.breed, pet.ageMonths && age(pet.ageMonths), pet.vaccinated && 'vaccinated'].filter(Boolean).map(unbroken).join(' · ')),
      h('p', { class: 'pet-place' }, [pet.address, seller && !isMine && `from ${seller.name}`].filter(Boolean).join(' · ')),
      isMine
        ? h('p', { class: 'pet-mine' }, 'Your listing')
        : h('button', { class: 'button button-strong', type: 'button', data: { testid: `ask-${pet._id}` }, on: { click: () => onask(pet) } }, icon('chats'), 'Chat with seller')));
}

/** A line may end between two facts, not inside one. */
function unbroken(fact) {
  return fact.replaceAll(' ', '\u00a0');
}
