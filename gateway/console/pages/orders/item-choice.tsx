import { useQuery } from '@connectrpc/connect-query';
import { InventoryService, type Item } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import { Answer } from '../../parts/answer.tsx';
import { Badge } from '../../parts/badge.tsx';
import { moneyText } from '../../parts/money.ts';

const MAX_QUANTITY = 10_000;
const MAX_ITEMS = 100;

/** The catalogue with what there is of it, and how many of each are ordered. What is sold out can be ordered too: see what comes of it. */
export function ItemChoice({ quantities, onChange, problem, problemOf }: Parts) {
  const items = useQuery(InventoryService.method.listItems, { pageSize: MAX_ITEMS });
  return (
    <fieldset className="choice">
      <legend>Items</legend>
      <Answer query={items} isEmpty={(answer) => answer.items.length === 0} empty="The catalogue is empty.">
        {({ items, nextPageToken }) => (
          <>
            <ul className="items">
              {items.map((item) => (
                <ItemLine
                  key={item.sku}
                  item={item}
                  quantity={quantities[item.sku] ?? 0}
                  onChange={(quantity) => onChange(item.sku, quantity)}
                  problem={problemOf(item.sku)}
                />
              ))}
            </ul>
            {nextPageToken !== '' && <p className="hint muted">The first {MAX_ITEMS} of the catalogue.</p>}
          </>
        )}
      </Answer>
      {problem !== undefined && (
        <p className="hint wrong" role="alert">
          {problem}
        </p>
      )}
    </fieldset>
  );
}

type Parts = {
  quantities: Readonly<Record<string, number>>;
  onChange: (sku: string, quantity: number) => void;
  problem: string | undefined;
  problemOf: (sku: string) => string | undefined;
};

function ItemLine({ item, quantity, onChange, problem }: LineParts) {
  const { sku, name, unitPrice, available } = item;
  const id = `quantity-${sku}`;
  return (
    <li>
      <label htmlFor={id}>
        {name} <span className="muted mono">{sku}</span>
      </label>
      <span className="number">{moneyText(unitPrice)}</span>
      <span>
        {available === 0n ? (
          <Badge tone="warning">sold out</Badge>
        ) : (
          <span className="muted">{`${available} left`}</span>
        )}
      </span>
      <input
        id={id}
        type="number"
        min={0}
        max={MAX_QUANTITY}
        value={quantity}
        aria-invalid={problem === undefined ? undefined : true}
        aria-describedby={problem === undefined ? undefined : `${id}-problem`}
        onFocus={(event) => event.target.select()}
        onChange={(event) => onChange(Math.max(0, Math.floor(event.target.valueAsNumber || 0)))}
      />
      {problem !== undefined && (
        <span id={`${id}-problem`} className="wrong" role="alert">
          {problem}
        </span>
      )}
    </li>
  );
}

type LineParts = { item: Item; quantity: number; onChange: (quantity: number) => void; problem: string | undefined };
