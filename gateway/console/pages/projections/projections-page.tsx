import { useQuery } from '@connectrpc/connect-query';
import { useState } from 'react';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { Answer } from '../../parts/answer.tsx';
import { Page } from '../../parts/page.tsx';
import { ProjectionAct } from './act-dialogs.tsx';
import { BuildTable } from './build-table.tsx';
import { type Act, isAtWork, type Row, rowsOf } from './build-words.ts';
import './projections.css';

const BUSY_MS = 1_000;
const CALM_MS = 5_000;

/** Views: how far they are, and how they are built anew without anybody noticing. */
export default function ProjectionsPage() {
  const [chosen, setChosen] = useState<{ act: Act; row: Row }>();
  const query = useQuery(
    OperationsService.method.listProjections,
    {},
    { refetchInterval: ({ state }) => (isAtWork(state.data?.projections ?? []) ? BUSY_MS : CALM_MS) },
  );
  return (
    <Page title="Projections" about="Views that are made from the journals, and can be made anew from them at any time">
      <Answer
        query={query}
        isEmpty={({ projections, unreachableServices }) => projections.length + unreachableServices.length === 0}
        empty="No service has told of a view yet."
      >
        {({ projections, unreachableServices }) => (
          <div className="projections">
            {unreachableServices.length > 0 && (
              <p className="failure" role="status">
                <span>
                  <strong>Did not answer:</strong> {unreachableServices.join(', ')}. Their views are not shown; what
                  they do goes on.
                </span>
              </p>
            )}
            <BuildTable rows={rowsOf(projections)} onAct={(act, row) => setChosen({ act, row })} />
          </div>
        )}
      </Answer>
      {chosen !== undefined && <ProjectionAct {...chosen} onClose={() => setChosen(undefined)} />}
    </Page>
  );
}
