import { describe, test } from 'vitest';
import { given } from '#kit/testing/given.ts';
import { type EndpointEvent, endpoint } from './endpoint.ts';

const endpointId = 'endpoint-1';
const said = { endpointId, url: 'https://shop.example/hooks', types: ['a', 'b'], secret: 'whsec_c2VjcmV0' };
const created: EndpointEvent = { type: 'EndpointCreated', ...said };
const disabled: EndpointEvent = { type: 'EndpointDisabled', endpointId, reason: 'it answered 410 Gone' };
const enabled: EndpointEvent = { type: 'EndpointEnabled', endpointId };
const create = { type: 'CreateEndpoint', ...said } as const;
const enable = { type: 'EnableEndpoint', endpointId } as const;
const disable = { type: 'DisableEndpoint', endpointId, reason: 'it answered 410 Gone' } as const;

describe('an endpoint that there is not', () => {
  test('is created, with its secret', () => {
    given(endpoint).when(create).thenEvent(created);
  });

  test.each([enable, disable])('is unknown to $type', (command) => {
    given(endpoint).when(command).thenRefused('NOT_FOUND', 'ENDPOINT_UNKNOWN');
  });
});

describe('an endpoint that there is', () => {
  test('is not created a second time', () => {
    given(endpoint, created).when(create).thenRefused('ALREADY_EXISTS', 'ENDPOINT_EXISTS');
  });

  test('is enabled from the start', () => {
    given(endpoint, created).when(enable).thenNothing();
  });

  test('is disabled, once', () => {
    given(endpoint, created).when(disable).thenEvent(disabled);
    given(endpoint, created, disabled).when(disable).thenNothing();
  });

  test('is enabled again, once, and can be disabled again', () => {
    given(endpoint, created, disabled).when(enable).thenEvent(enabled);
    given(endpoint, created, disabled, enabled).when(enable).thenNothing();
    given(endpoint, created, disabled, enabled).when(disable).thenEvent(disabled);
  });
});
