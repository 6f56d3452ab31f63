import type { ReactNode } from 'react';

export type Column<Row> = { name: string; cell: (row: Row) => ReactNode; isNumber?: boolean };

/** Rows under a head; on a narrow page each row is a card, and each cell says its column's name. */
export function Table<Row>({ caption, columns, rows, keyOf }: Parts<Row>) {
  return (
    <div className="scroll">
      <table>
        <caption className="unseen">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ name, isNumber }) => (
              <th key={name} scope="col" className={isNumber ? 'number' : undefined}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map(({ name, cell, isNumber }) => (
                <td key={name} data-column={name} className={isNumber ? 'number' : undefined}>
                  <div>{cell(row)}</div>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

type Parts<Row> = {
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  keyOf: (row: Row) => string;
};
