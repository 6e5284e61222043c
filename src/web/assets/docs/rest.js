/** The routes of the OpenAPI description, as entries of the page. */

import { h } from '../dom.js';
import { fieldsOf, thingOf, typeOf } from './schema.js';
import { inline, json, prose, sample } from './text.js';

const METHODS = ['get', 'post', 'put', 'delete'];

/** What a `$ref` of the description names, or the value itself. */
export function resolver(root) {
  return (value) => (value?.$ref ? value.$ref.replace(/^.*#\//, '').split('/').reduce((node, key) => node[key.replaceAll('~1', '/')], root) : value);
}

/** Every operation: `{ id, tag, title, words, element }`, in the order of the description. */
export function operations(openapi) {
  const resolve = resolver(openapi);
  return Object.entries(openapi.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => {
      const operation = { ...item[method], parameters: [...(item.parameters ?? []), ...(item[method].parameters ?? [])].map(resolve) };
      const id = `op-${operation.operationId}`;
      return {
        id,
        tag: operation.tags[0],
        title: operation.summary,
        words: `${method} ${path} ${operation.summary} ${operation.description ?? ''} ${(operation['x-errors'] ?? []).join(' ')}`.toLowerCase(),
        element: entry(openapi, resolve, id, method, path, operation),
      };
    }),
  );
}

function entry(openapi, resolve, id, method, path, operation) {
  const body = operation.requestBody && Object.entries(operation.requestBody.content)[0];
  return h(
    'details',
    { class: 'entry', id },
    h(
      'summary',
      {},
      h('span', { class: `tag tag-${method}` }, method.toUpperCase()),
      h('code', { class: 'path' }, path),
      h('span', { class: 'what' }, ...inline(operation.summary)),
    ),
    h(
      'div',
      { class: 'inside' },
      prose(operation.description),
      operation.parameters.length > 0 && h('h3', {}, 'Parameters'),
      operation.parameters.length > 0 && parameters(operation.parameters),
      ...(body ? request(body) : []),
      h('h3', {}, 'With curl'),
      sample(curl(openapi, method, path, operation, body), `the curl line of ${operation.operationId}`),
      h('h3', {}, 'Answers'),
      ...Object.entries(operation.responses).map(([status, response]) => answer(status, resolve(response), operation)),
    ),
  );
}

function parameters(list) {
  const rows = list.map((one) =>
    h(
      'li',
      { class: 'field' },
      h(
        'div',
        { class: 'field-head' },
        h('code', { class: 'field-name' }, one.name),
        h('span', { class: 'field-type' }, typeOf(one.schema), ` in the ${one.in}`),
        one.required && h('span', { class: 'field-need' }, 'always'),
      ),
      one.description && h('div', { class: 'field-text' }, ...inline(one.description)),
    ),
  );
  return h('ul', { class: 'fields' }, ...rows);
}

function request([type, { schema, examples }]) {
  const heading = h('h3', {}, 'Body ', h('span', { class: 'field-type' }, type));
  const shown = schema.type === 'array' ? h('p', { class: 'field-type' }, typeOf(schema)) : thingOf(schema) ? h('p', { class: 'field-type' }, typeOf(schema)) : fieldsOf(schema);
  const samples = Object.entries(examples ?? {}).flatMap(([name, { summary, value }]) => [summary && h('h4', {}, summary), sample(json(value), `the example ${name}`)]);
  return [heading, shown, ...samples];
}

/** The codes that stand in an answer of this operation. */
function codesOf(schema, operation) {
  const error = schema?.properties?.error;
  const all = error?.enum ?? (error?.const ? [error.const] : []);
  const own = operation['x-errors'] ?? [];
  return all.length > 1 ? all.filter((code) => own.includes(code)) : all;
}

function answer(status, response, operation) {
  const content = Object.values(response.content ?? {})[0];
  const isGood = status.startsWith('2');
  const codes = isGood ? [] : codesOf(content?.schema, operation);
  const schema = isGood && (content?.schema?.properties?.data ?? content?.schema);
  const examples = Object.entries(content?.examples ?? {});
  return h(
    'div',
    { class: 'answer' },
    h('span', { class: `status ${isGood ? 'status-good' : status >= '4' ? 'status-bad' : ''}` }, status),
    h(
      'div',
      {},
      h('div', {}, ...inline(response.description)),
      codes.length > 0 && h('div', { class: 'codes' }, ...codes.map((code) => h('code', {}, code))),
      schema && h('div', { class: 'field-type' }, content.schema.properties?.data ? h('code', {}, 'data: ') : null, thingOf(schema) ? typeOf(schema) : null),
      schema && !thingOf(schema) && fieldsOf(schema),
      examples.length > 0 && h('details', { class: 'more' }, h('summary', {}, 'an example'), ...examples.map(([name, { value }]) => sample(json(value), `the example ${name}`))),
    ),
  );
}

function curl(openapi, method, path, operation, body) {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name) => operation.parameters.find((one) => one.name === name)?.example ?? name);
  const security = operation.security ?? openapi.security;
  const scheme = security.map((one) => Object.keys(one)[0]).find((name) => name === 'userToken' || name === 'adminKey');
  const lines = [`curl${method === 'get' ? '' : ` -X ${method.toUpperCase()}`} '${location.origin}${filled}'`];
  if (scheme) lines.push(`-H "Authorization: Bearer $${scheme === 'adminKey' ? 'ADMIN_KEY' : 'TOKEN'}"`);
  if (body?.[0] === 'multipart/form-data') lines.push('-F media=@kitten.jpg', "-F content='Look!'");
  else if (body) lines.push("-H 'Content-Type: application/json'", `-d '${JSON.stringify(Object.values(body[1].examples)[0].value)}'`);
  return lines.join(' \\\n  ');
}
