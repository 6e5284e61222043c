/** The events of the AsyncAPI description, as entries of the page: what a client emits, and what it hears. */

import { h } from '../dom.js';
import { resolver } from './rest.js';
import { fieldsOf, thingOf, typeOf } from './schema.js';
import { inline, json, sample } from './text.js';

/** Every event: `{ id, isHeard, title, words, element }`, in the order of the description. */
export function events(asyncapi) {
  const resolve = resolver(asyncapi);
  const message = (reference) => resolve(resolve(reference));
  return Object.entries(asyncapi.operations).map(([key, operation]) => {
    const isHeard = operation.action === 'send';
    const [event] = operation.messages.map(message);
    const replies = (operation.reply?.messages ?? []).map(message);
    const id = `event-${key}`;
    return {
      id,
      isHeard,
      title: event.title ?? event.name,
      words: `${key} ${event.name} ${event.title ?? ''} ${operation.summary}`.toLowerCase(),
      element: entry(resolve, id, isHeard, event, operation.summary, replies),
    };
  });
}

function entry(resolve, id, isHeard, event, summary, replies) {
  return h(
    'details',
    { class: 'entry', id },
    h(
      'summary',
      {},
      h('span', { class: `tag tag-${isHeard ? 'on' : 'emit'}` }, isHeard ? 'on' : 'emit'),
      h('code', { class: 'path' }, event.name),
      h('span', { class: 'what' }, ...inline(summary)),
    ),
    h(
      'div',
      { class: 'inside' },
      event.title && event.title !== event.name && h('p', { class: 'field-type' }, ...inline(event.title)),
      h('h3', {}, 'Payload'),
      ...payload(resolve, event),
      replies.length > 0 && h('h3', {}, 'Ack'),
      ...replies.flatMap((reply) => [h('h4', {}, reply.title), ...payload(resolve, reply)]),
    ),
  );
}

function payload(resolve, { name, payload: schema, examples = [] }) {
  const isElsewhere = thingOf(schema) && schema.$ref.startsWith('.');
  const own = isElsewhere ? schema : resolve(schema);
  const base = own.allOf?.[0];
  return [
    base && h('p', { class: 'field-type' }, 'All of ', typeOf(base), ', and:'),
    own.description && h('p', { class: 'field-text' }, ...inline(own.description)),
    (own.properties || own.oneOf || isElsewhere) && (own.properties ? fieldsOf(own) : h('p', { class: 'field-type' }, typeOf(own))),
    ...examples.map((example) => sample(json(example.payload), `an example of ${name}`)),
  ].filter(Boolean);
}
