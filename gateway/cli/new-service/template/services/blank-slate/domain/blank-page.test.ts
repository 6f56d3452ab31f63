import { describe, test } from 'vitest';
import { given } from '#kit/testing/given.ts';
import { type AddBlankPage, type BlankPageEvent, blankPage } from './blank-page.ts';

const details = { blankPageId: '00000000-0000-4000-8000-000000000001', customerId: 'alice', title: 'The first' };
const add: AddBlankPage = { type: 'AddBlankPage', ...details };
const added: BlankPageEvent = { type: 'BlankPageAdded', ...details };

describe('a blank page', () => {
  test('is added', () => {
    given(blankPage).when(add).thenEvent(added);
  });

  test('is not added a second time', () => {
    given(blankPage, added).when(add).thenNothing();
  });

  test('is not made another one by adding it again', () => {
    given(blankPage, added)
      .when({ ...add, title: 'The second' })
      .thenRefused('ALREADY_EXISTS', 'BLANK_PAGE_EXISTS');
  });
});
