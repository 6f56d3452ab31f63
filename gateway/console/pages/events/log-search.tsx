import { type FormEvent, useId, useState } from 'react';
import { Field } from '../../parts/field.tsx';
import { knownStreams, knownTypes } from './known-types.ts';
import { fieldTime, isoTime, type LogFilter } from './log-filter.ts';

/** What is looked for in the log, and whether it is followed. */
export function LogSearch({ filter, onSearch, follows, onFollow }: Parts) {
  const [entered, setEntered] = useState(filter);
  const types = useId();
  const isEmpty = Object.values(filter).every((value) => value === '');
  const text = (name: keyof LogFilter, more: { list?: string; placeholder?: string } = {}) => ({
    ...more,
    value: entered[name],
    autoComplete: 'off',
    spellCheck: false,
    onChange: (event: { target: { value: string } }) => setEntered({ ...entered, [name]: event.target.value.trim() }),
  });
  const time = (name: 'from' | 'until') => ({
    type: 'datetime-local',
    step: 1,
    value: fieldTime(entered[name]),
    onChange: (event: { target: { value: string } }) => setEntered({ ...entered, [name]: isoTime(event.target.value) }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSearch(entered);
  };
  return (
    <search>
      <form className="log-search" onSubmit={submit}>
        <Field label="Type">
          {(control) => (
            <input {...control} {...text('type', { list: types, placeholder: 'OrderPlaced' })} maxLength={200} />
          )}
        </Field>
        <datalist id={types}>
          {knownTypes.map((type) => (
            <option key={type} value={type} />
          ))}
        </datalist>
        <Field label="Stream">
          {(control) => (
            <select
              {...control}
              value={entered.stream}
              onChange={(event) => setEntered({ ...entered, stream: event.target.value })}
            >
              <option value="">Any</option>
              {knownStreams.map((stream) => (
                <option key={stream}>{stream}</option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Aggregate">
          {(control) => <input {...control} {...text('aggregate', { placeholder: 'order' })} maxLength={64} />}
        </Field>
        <Field label="Key">
          {(control) => <input {...control} {...text('key', { placeholder: 'an order id, a sku' })} maxLength={64} />}
        </Field>
        <Field label="Correlation id">
          {(control) => <input {...control} {...text('correlation')} maxLength={128} />}
        </Field>
        {!follows && (
          <>
            <Field label="From">{(control) => <input {...control} {...time('from')} />}</Field>
            <Field label="Until">{(control) => <input {...control} {...time('until')} />}</Field>
          </>
        )}
        <div className="buttons">
          <button type="submit" className="main">
            {follows ? 'Follow these' : 'Search'}
          </button>
          {!isEmpty && (
            <button type="button" onClick={() => onSearch(emptied(filter))}>
              Clear
            </button>
          )}
          <button type="button" aria-pressed={follows} onClick={() => onFollow(!follows)}>
            {follows ? 'Stop following' : 'Follow live'}
          </button>
        </div>
      </form>
    </search>
  );
}

type Parts = {
  filter: LogFilter;
  onSearch: (filter: LogFilter) => void;
  follows: boolean;
  onFollow: (follows: boolean) => void;
};

function emptied(filter: LogFilter): LogFilter {
  return Object.fromEntries(Object.keys(filter).map((name) => [name, ''])) as LogFilter;
}
