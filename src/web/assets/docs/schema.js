/**
 * A JSON schema as a person reads it: the fields of an object with their types, nested ones folded. Knows no route and no event; a
 * reference to a thing that the page explains becomes a link to it.
 */

import { h } from '../dom.js';
import { inline } from './text.js';

const THING = /#\/components\/schemas\/(\w+)$/;

/** The name of the thing that a schema refers to, if it does. */
export function thingOf(schema) {
  return THING.exec(schema?.$ref ?? '')?.[1];
}

/** Where the page explains a thing. */
export const thingId = (name) => `thing-${name}`;

/** What a schema is, in a few words: a node, because it may link to a thing. */
export function typeOf(schema) {
  const name = thingOf(schema);
  if (name) return h('a', { href: `#${thingId(name)}` }, name);
  if (!schema || Object.keys(schema).length === 0) return h('span', {}, 'anything');
  if ('const' in schema) return h('span', {}, JSON.stringify(schema.const));
  if (schema.enum) return h('span', {}, schema.enum.map((value) => JSON.stringify(value)).join(' | '));
  const forms = schema.oneOf ?? schema.anyOf;
  if (forms) return joined(forms.map(typeOf), ' or ');
  if (schema.type === 'array') return joined(['list of ', typeOf(schema.items)], '');
  if (schema.type) return h('span', {}, [schema.type].flat().join(' or ') + limits(schema));
  if (schema.allOf?.length === 1) return typeOf(schema.allOf[0]);
  return h('span', {}, 'anything');
}

/** The fields of a schema that is an object, or whatever else can be said of it. */
export function fieldsOf(schema) {
  const { properties, required } = gathered(schema);
  const rows = Object.entries(properties).map(([name, field]) => fieldRow(name, field, required.has(name)));
  return rows.length > 0 ? h('ul', { class: 'fields' }, ...rows) : h('p', { class: 'field-type' }, typeOf(schema));
}

function fieldRow(name, field, isRequired) {
  const nested = nestedIn(field);
  return h(
    'li',
    { class: 'field' },
    h(
      'div',
      { class: 'field-head' },
      h('code', { class: 'field-name' }, name),
      h('span', { class: 'field-type' }, typeOf(field)),
      isRequired && h('span', { class: 'field-need' }, 'always'),
    ),
    field.description && h('div', { class: 'field-text' }, ...inline(field.description)),
    nested && h('details', {}, h('summary', {}, 'its fields'), fieldsOf(nested)),
  );
}

/** The object inside a field that is not explained elsewhere. */
function nestedIn(schema) {
  if (schema.properties) return schema;
  if (schema.type === 'array' && (schema.items?.properties || schema.items?.allOf)) return schema.items;
  return undefined;
}

/** Own fields only: what is referred to has a place of its own, unless a schema builds on it. */
function gathered(schema) {
  return { properties: schema?.properties ?? {}, required: new Set(schema?.required ?? []) };
}

function limits({ minimum, maxLength, maxItems, default: fallback, format }) {
  const said = [
    format && ` (${format})`,
    minimum !== undefined && `, from ${minimum}`,
    maxLength !== undefined && `, up to ${maxLength} characters`,
    maxItems !== undefined && `, up to ${maxItems}`,
    fallback !== undefined && fallback !== null && `, ${JSON.stringify(fallback)} unless said`,
  ];
  return said.filter(Boolean).join('');
}

function joined(nodes, between) {
  return h('span', {}, ...nodes.flatMap((node, index) => (index > 0 && between ? [between, node] : [node])));
}
