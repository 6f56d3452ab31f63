import type { DescMessage } from '@bufbuild/protobuf';
import { type Any, anyPack, anyUnpack } from '@bufbuild/protobuf/wkt';
import { useMemo, useRef, useState } from 'react';
import type { DeadLetter } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { eventRegistry } from '#gen/events.js';
import { Field } from '../../parts/field.tsx';
import { shortType } from '../../parts/payload.tsx';
import { words } from '../../parts/words.ts';
import { ContractFields } from './contract-fields.tsx';
import { checkedJson, editableJson, type Problem } from './letter-json.ts';
import { ReplayDialog } from './replay-dialog.tsx';

const MIN_ROWS = 8;
const MAX_ROWS = 30;

/** What a letter says, to be changed as JSON by its contract; and its replay as it was changed. */
export function LetterEditor({ letter, type }: { letter: DeadLetter; type: DescMessage }) {
  const original = useMemo(() => {
    const message = letter.data === undefined ? undefined : anyUnpack(letter.data, eventRegistry);
    return editableJson(type, message, letter.key);
  }, [letter, type]);
  const [text, setText] = useState(original);
  const [edited, setEdited] = useState<Any>();
  const { message, problem } = useMemo(() => checkedJson(type, text), [type, text]);
  const isChanged = text !== original;
  const { consumer, key } = letter;
  return (
    <section className="card" aria-label="What it says">
      <h2>What it says</h2>
      {letter.data === undefined && (
        <p className="notice">
          What is stored can not be read as {words(shortType(letter.eventType)).toLowerCase()}: here is an empty one to
          be filled.
        </p>
      )}
      <div className="editor">
        <div>
          <EditedText text={text} onChange={setText} problem={problem} />
          <div className="buttons">
            <button
              type="button"
              className="main"
              disabled={message === undefined || !isChanged}
              onClick={() => message !== undefined && setEdited(anyPack(type, message))}
            >
              Replay as edited…
            </button>
            <button type="button" disabled={!isChanged} onClick={() => setText(original)}>
              Back to what it was
            </button>
          </div>
        </div>
        <ContractFields type={type} />
      </div>
      {edited !== undefined && (
        <ReplayDialog
          selection={{
            filter: { consumer, key },
            text: `The first message of key ${key} as edited, and those behind it`,
          }}
          edited={edited}
          onClose={() => setEdited(undefined)}
        />
      )}
    </section>
  );
}

function EditedText({ text, onChange, problem }: TextParts) {
  const area = useRef<HTMLTextAreaElement>(null);
  const goThere = ({ from, to }: Problem) => {
    area.current?.focus();
    area.current?.setSelectionRange(from, to);
  };
  return (
    <Field
      label="As JSON"
      problem={
        problem && (
          <>
            <button type="button" className="link" onClick={() => goThere(problem)}>
              Line {problem.line}, column {problem.column}
            </button>
            : {problem.text}
          </>
        )
      }
    >
      {(control) => (
        <textarea
          {...control}
          ref={area}
          spellCheck={false}
          autoComplete="off"
          rows={Math.min(Math.max(text.split('\n').length + 1, MIN_ROWS), MAX_ROWS)}
          value={text}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}

type TextParts = { text: string; onChange: (text: string) => void; problem: Problem | undefined };
