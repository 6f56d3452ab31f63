import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { type Finding, Severity, type WatchOverviewResponse } from '#gen/causeway/operations/v1/flow_pb.js';
import { Badge } from '../../parts/badge.tsx';
import { counted } from '../../parts/words.ts';
import { allFindings, severityWord, whereaboutsOf } from './findings.ts';
import type { FlowGraph } from './flow-graph.ts';

/** So many findings are shown at once; the others on request. */
const SHOWN = 3;

type Parts = { overview: WatchOverviewResponse; graph: FlowGraph; onSelect: (id: string) => void };

/** What is wrong, the worst first, with what to do; or that all is well. */
export function HealthBand({ overview, graph, onSelect }: Parts) {
  const { missing } = overview;
  const findings = allFindings(overview, graph);
  const tone = bandTone(findings);
  const list = (some: readonly Finding[]) => (
    <ul className="plain">
      {some.map((finding) => (
        <FindingLine
          key={`${finding.check} ${finding.subject} ${finding.message}`}
          finding={finding}
          graph={graph}
          onSelect={onSelect}
        />
      ))}
    </ul>
  );
  return (
    <section className={`health ${tone}`} aria-label="Health">
      <p className="headline" role="status">
        <span className="sign" aria-hidden="true" />
        <strong>{headline(findings)}</strong>
        {tone === 'good' && <span className="muted">{summary(graph)}</span>}
      </p>
      {findings.length > 0 && list(findings.slice(0, SHOWN))}
      {findings.length > SHOWN && (
        <details>
          <summary>{counted(findings.length - SHOWN, 'more finding', 'more findings')}</summary>
          {list(findings.slice(SHOWN))}
        </details>
      )}
      {missing.map((part) => (
        <p key={part} className="muted">
          Not shown: {part}
        </p>
      ))}
    </section>
  );
}

function bandTone(findings: readonly Finding[]): string {
  if (findings.some(({ severity }) => severity === Severity.PROBLEM)) return 'bad';
  return findings.some(({ severity }) => severity === Severity.WARNING) ? 'warning' : 'good';
}

function headline(findings: readonly Finding[]): string {
  const count = (severity: Severity) => findings.filter((finding) => finding.severity === severity).length;
  const parts = [
    count(Severity.PROBLEM) > 0 && counted(count(Severity.PROBLEM), 'problem'),
    count(Severity.WARNING) > 0 && counted(count(Severity.WARNING), 'warning'),
  ].filter((part) => part !== false);
  return parts.length === 0 ? 'All is well' : parts.join(', ');
}

function summary({ services, journals, consumers }: FlowGraph): string {
  return [
    counted(services.length, 'service'),
    counted(journals.length, 'journal'),
    counted(consumers.length, 'consumer'),
  ].join(', ');
}

/** A text in which a command stands between backticks. */
function withCode(text: string): ReactNode {
  return text.split('`').map((part, index) => (index % 2 === 1 ? <code key={part}>{part}</code> : part));
}

function FindingLine({
  finding,
  graph,
  onSelect,
}: {
  finding: Finding;
  graph: FlowGraph;
  onSelect: (id: string) => void;
}) {
  const { word, tone } = severityWord(finding.severity);
  const where = whereaboutsOf(finding, graph);
  return (
    <li>
      <Badge tone={tone}>{word}</Badge>
      <div className="what">
        {finding.subject !== '' && <strong>{finding.subject}: </strong>}
        {withCode(finding.message)}
        {finding.remedy !== '' && <div className="muted">{withCode(finding.remedy)}</div>}
      </div>
      {where !== undefined && 'page' in where && <Link href={where.page}>{where.name}</Link>}
      {where !== undefined && 'node' in where && (
        <button type="button" className="link" onClick={() => onSelect(where.node)}>
          Show it
        </button>
      )}
    </li>
  );
}
