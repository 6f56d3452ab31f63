import type { CompareProjectionResponse, DocumentDifference } from '#gen/causeway/operations/v1/projections_pb.js';
import { Badge } from '../../parts/badge.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Progress } from '../../parts/progress.tsx';
import { counted } from '../../parts/words.ts';
import type { Row } from './build-words.ts';
import { documentLines } from './document-lines.ts';
import { useComparison } from './use-comparison.ts';

/** Compares a build with what readers see: how many documents differ, and in what. */
export function CompareDialog({ row: { projection, build }, onClose }: { row: Row; onClose: () => void }) {
  const { latest, isOver, error, again } = useComparison(projection.service, projection.view, build.build);
  const share =
    latest === undefined || latest.total === 0n ? undefined : Number(latest.compared) / Number(latest.total);
  return (
    <Dialog title={`Compare ${projection.view}, build ${build.build}`} onClose={onClose}>
      <div className="comparison stack">
        {error !== undefined && <Failure error={error} again={again} />}
        {!isOver && error === undefined && (
          <div>
            <p role="status">
              {latest === undefined
                ? 'Comparing…'
                : `${latest.compared.toLocaleString()} of ${counted(latest.total, 'document')} compared`}
            </p>
            <Progress label="Documents compared" share={share} />
          </div>
        )}
        {latest !== undefined && <Counts counts={latest} isOver={isOver} />}
        {isOver && latest !== undefined && <Differences differences={latest.differences} />}
        {isOver && (
          <button type="button" onClick={again}>
            Compare again
          </button>
        )}
      </div>
    </Dialog>
  );
}

function Counts({ counts, isOver }: { counts: CompareProjectionResponse; isOver: boolean }) {
  const { compared, same, different, missing, extra, unsettled } = counts;
  const differs = different + missing + extra;
  return (
    <>
      {isOver && (
        <p role="status">
          <Badge tone={differs > 0n ? 'warning' : 'good'}>{differs > 0n ? 'Differs' : 'The same'}</Badge>{' '}
          {differs > 0n
            ? `${counted(differs, 'document')} of ${compared.toLocaleString()} would change for readers.`
            : `Readers would see no difference in ${counted(compared, 'document')}.`}
        </p>
      )}
      <dl className="facts counts">
        <dt>Same</dt>
        <dd>{same.toLocaleString()}</dd>
        <dt>Different</dt>
        <dd>{different.toLocaleString()}</dd>
        <dt>Only in what readers see</dt>
        <dd>{missing.toLocaleString()}</dd>
        <dt>Only in this build</dt>
        <dd>{extra.toLocaleString()}</dd>
        <dt>Kept changing</dt>
        <dd>{unsettled.toLocaleString()}</dd>
      </dl>
    </>
  );
}

function Differences({ differences }: { differences: readonly DocumentDifference[] }) {
  if (differences.length === 0) return null;
  return (
    <section aria-label="Documents that differ">
      <h3>{differences.length === 1 ? 'The document that differs' : `The first ${differences.length} that differ`}</h3>
      {differences.map((difference, index) => (
        <details key={difference.id} open={index === 0}>
          <summary>
            <span className="mono breaks">{difference.id}</span>{' '}
            <span className="muted">{whatDiffers(difference)}</span>
          </summary>
          <div className="sides">
            <Side title="What readers see" json={difference.active} fields={difference.fields} />
            <Side title="This build" json={difference.other} fields={difference.fields} />
          </div>
        </details>
      ))}
    </section>
  );
}

function whatDiffers({ fields, active, other }: DocumentDifference): string {
  if (active === '') return 'only in this build';
  if (other === '') return 'only in what readers see';
  return fields.join(', ');
}

function Side({ title, json, fields }: { title: string; json: string; fields: readonly string[] }) {
  const lines = documentLines(json, fields);
  return (
    <div>
      <p className="label">{title}</p>
      {lines.length === 0 ? (
        <p className="muted">There is no such document.</p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard.
        <pre className="payload" tabIndex={0}>
          {lines.map(({ text, isMarked }, index) => {
            // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other name, and do not change.
            return isMarked ? <mark key={index}>{`${text}\n`}</mark> : <span key={index}>{`${text}\n`}</span>;
          })}
        </pre>
      )}
    </div>
  );
}
