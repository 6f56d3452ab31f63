import { Code, ConnectError } from '@connectrpc/connect';
import { useQuery } from '@connectrpc/connect-query';
import { keepPreviousData } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { Link } from 'wouter';
import { type Notification, NotificationService } from '#gen/causeway/notifications/v1/notifications_service_pb.js';
import { FulfilmentStatus, OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { type Payment, PaymentService, PaymentStatus } from '#gen/causeway/payments/v1/payments_service_pb.js';
import { ShipmentStatus, ShippingService } from '#gen/causeway/shipping/v1/shipping_service_pb.js';
import { Answer } from '../../parts/answer.tsx';
import { Badge, type Tone } from '../../parts/badge.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { Moment } from '../../parts/moment.tsx';
import { moneyText } from '../../parts/money.ts';
import { shortType } from '../../parts/payload.tsx';
import { counted, words } from '../../parts/words.ts';
import type { Place } from './came-from.ts';

/** Parked and retried messages say nothing when they come and go. */
const REFRESH_MS = 4_000;

type CardParts = { orderId: string; after: Place | undefined };

/** What a card asks for: not older than the events beside it, and what is there stays until the new is. */
const asked = ({ orderId, after }: CardParts) => ({ orderId, atLeast: after === undefined ? [] : [after] });
const kept = { placeholderData: keepPreviousData } as const;

function Card({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="card" aria-label={title}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

/** A query whose NOT_FOUND is no failure: what it asks for has not begun. */
function Begun<Data>({ query, notYet, children }: BegunParts<Data>) {
  if (query.error !== null && ConnectError.from(query.error).code === Code.NotFound)
    return <p className="muted">{notYet}</p>;
  return <Answer query={query}>{children}</Answer>;
}

type BegunParts<Data> = {
  query: { data: Data | undefined; error: Error | null; isPending: boolean; refetch: () => unknown };
  notYet: string;
  children: (data: Data) => ReactNode;
};

/** The saga: what was asked for and answered, what is waited for, and until when. */
export function FulfilmentCard(parts: CardParts) {
  const query = useQuery(OperationsService.method.getFulfilment, asked(parts), kept);
  return (
    <Card title="Fulfilment">
      <Begun query={query} notYet="It has not begun.">
        {({ fulfilment }) =>
          fulfilment !== undefined && (
            <>
              <p>
                <Badge tone={toneOf(fulfilment.status)}>{words(FulfilmentStatus[fulfilment.status] ?? '')}</Badge>{' '}
                {fulfilment.reason !== '' && <span>{words(fulfilment.reason)}</span>}
              </p>
              {fulfilment.deadline !== undefined && (
                <p>
                  Waits no longer <Moment at={fulfilment.deadline} />
                </p>
              )}
              <ol className="steps">
                {fulfilment.steps.map(({ type, at, note }) => (
                  <li key={`${type} ${at?.seconds} ${at?.nanos}`}>
                    {words(shortType(type))} <Moment at={at} />
                    {note !== '' && <div className="muted breaks">{note}</div>}
                  </li>
                ))}
              </ol>
              {fulfilment.status === FulfilmentStatus.NEEDS_ATTENTION && (
                <Link href="/fulfilments?status=NEEDS_ATTENTION">Settle it</Link>
              )}
            </>
          )
        }
      </Begun>
    </Card>
  );
}

function toneOf(status: FulfilmentStatus): Tone {
  switch (status) {
    case FulfilmentStatus.COMPLETED:
      return 'good';
    case FulfilmentStatus.NEEDS_ATTENTION:
      return 'bad';
    case FulfilmentStatus.FAILED:
    case FulfilmentStatus.UNDOING_PAYMENT:
    case FulfilmentStatus.UNDOING_SHIPMENT:
    case FulfilmentStatus.UNDOING_STOCK:
      return 'warning';
    default:
      return 'busy';
  }
}

export function PaymentCard(parts: CardParts) {
  const query = useQuery(PaymentService.method.getPayment, asked(parts), kept);
  return (
    <Card title="Payment">
      <Begun query={query} notYet="None yet.">
        {({ payment }) => payment !== undefined && <PaymentFacts payment={payment} />}
      </Begun>
    </Card>
  );
}

const paymentTones: Readonly<Record<PaymentStatus, Tone>> = {
  [PaymentStatus.UNSPECIFIED]: 'idle',
  [PaymentStatus.AUTHORIZED]: 'busy',
  [PaymentStatus.DECLINED]: 'warning',
  [PaymentStatus.CAPTURED]: 'good',
  [PaymentStatus.VOIDED]: 'warning',
  [PaymentStatus.REFUSED]: 'bad',
};

function PaymentFacts({ payment }: { payment: Payment }) {
  const { status, reason, provider, reference, refunds } = payment;
  const sums = (['authorized', 'captured', 'voided', 'refunded'] as const).filter((name) => {
    const sum = payment[name];
    return sum !== undefined && (sum.units > 0n || sum.nanos > 0);
  });
  return (
    <>
      <p>
        <Badge tone={paymentTones[status] ?? 'idle'}>{words(PaymentStatus[status] ?? '')}</Badge>{' '}
        {reason !== '' && words(reason.toUpperCase())}
      </p>
      <dl className="facts">
        {sums.map((name) => (
          <Fact key={name} name={words(name)}>
            {moneyText(payment[name])}
          </Fact>
        ))}
        {provider !== '' && <Fact name="Provider">{provider}</Fact>}
        {reference !== '' && (
          <Fact name="Reference">
            <span className="mono">{reference}</span>
          </Fact>
        )}
      </dl>
      {refunds.length > 0 && <p className="muted">{counted(refunds.length, 'refund')}</p>}
    </>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

const shipmentTones: Readonly<Record<ShipmentStatus, Tone>> = {
  [ShipmentStatus.UNSPECIFIED]: 'idle',
  [ShipmentStatus.DISPATCHED]: 'busy',
  [ShipmentStatus.DELIVERED]: 'good',
  [ShipmentStatus.CANCELLED]: 'warning',
};

export function ShipmentCard(parts: CardParts) {
  const query = useQuery(ShippingService.method.getShipment, asked(parts), kept);
  return (
    <Card title="Shipment">
      <Begun query={query} notYet="None yet.">
        {({ shipment }) =>
          shipment !== undefined && (
            <>
              <p>
                <Badge tone={shipmentTones[shipment.status] ?? 'idle'}>
                  {words(ShipmentStatus[shipment.status] ?? '')}
                </Badge>
              </p>
              <dl className="facts">
                {shipment.carrier !== '' && <Fact name="Carrier">{shipment.carrier}</Fact>}
                {shipment.trackingNumber !== '' && (
                  <Fact name="Tracking">
                    <span className="mono">{shipment.trackingNumber}</span>
                  </Fact>
                )}
                {shipment.dispatchedAt !== undefined && (
                  <Fact name="Dispatched">
                    <Moment at={shipment.dispatchedAt} />
                  </Fact>
                )}
                {shipment.deliveredAt !== undefined && (
                  <Fact name="Delivered">
                    <Moment at={shipment.deliveredAt} />
                  </Fact>
                )}
              </dl>
            </>
          )
        }
      </Begun>
    </Card>
  );
}

export function EmailsCard(parts: CardParts) {
  const query = useQuery(NotificationService.method.listNotifications, asked(parts), kept);
  const [opened, setOpened] = useState<Notification>();
  return (
    <Card title="E-mails">
      <Answer
        query={query}
        isEmpty={({ notifications }) => notifications.length === 0}
        empty={<span className="muted">The customer was told nothing yet.</span>}
      >
        {({ notifications }) => (
          <ul className="plain">
            {notifications.map((email) => (
              <li key={email.causeId}>
                {email.text === '' ? (
                  <span>{email.subject}</span>
                ) : (
                  <button type="button" className="link" onClick={() => setOpened(email)}>
                    {email.subject}
                  </button>
                )}{' '}
                <Moment at={email.sentAt} />
              </li>
            ))}
          </ul>
        )}
      </Answer>
      {opened !== undefined && <Email email={opened} onClose={() => setOpened(undefined)} />}
    </Card>
  );
}

function Email({ email: { subject, to, sentAt, text }, onClose }: { email: Notification; onClose: () => void }) {
  return (
    <Dialog title={subject} onClose={onClose}>
      <p className="muted">
        To {to}, <Moment at={sentAt} />
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard. */}
      <pre className="email" tabIndex={0}>
        {text}
      </pre>
    </Dialog>
  );
}

/** What could not be handled yet, and is tried again. */
export function RetryingCard({ orderId }: { orderId: string }) {
  const query = useQuery(OperationsService.method.listServices, {}, { refetchInterval: REFRESH_MS });
  const retryingOf = (data: NonNullable<typeof query.data>) =>
    data.services
      .flatMap(({ instances }) => instances.flatMap(({ retrying }) => retrying))
      .filter(({ key }) => key === orderId);
  return (
    <Card title="Tried again now">
      <Answer query={query} isEmpty={(data) => retryingOf(data).length === 0} empty={<Nothing />}>
        {(data) => (
          <ul className="plain">
            {retryingOf(data).map(({ consumer, eventId, eventType, attempts, error, nextAttemptAt }) => (
              <li key={`${consumer} ${eventId}`}>
                <strong>{words(shortType(eventType))}</strong> by {consumer}
                <div>
                  <Badge tone="warning">{counted(attempts, 'attempt')}</Badge> the next <Moment at={nextAttemptAt} />
                </div>
                <div className="muted breaks">{error}</div>
              </li>
            ))}
          </ul>
        )}
      </Answer>
    </Card>
  );
}

/** What consumers have given up on, of this order. */
export function ParkedCard({ orderId }: { orderId: string }) {
  const query = useQuery(
    OperationsService.method.listDeadLetters,
    { filter: { key: orderId } },
    { refetchInterval: REFRESH_MS },
  );
  return (
    <Card title="Parked">
      <Answer query={query} isEmpty={({ keys }) => keys.length === 0} empty={<Nothing />}>
        {({ keys }) => (
          <ul className="plain">
            {keys.map(({ consumer, messages, first }) => (
              <li key={consumer}>
                <Badge tone="bad">{words(first?.reason ?? '')}</Badge>{' '}
                <Link href={`/dead-letters?letter=${first?.sequence ?? 0}`}>
                  {words(shortType(first?.eventType ?? ''))}
                </Link>{' '}
                by {consumer}, {counted(messages, 'message')}
                <div className="muted breaks">{first?.error}</div>
              </li>
            ))}
          </ul>
        )}
      </Answer>
    </Card>
  );
}

function Nothing() {
  return <span className="muted">Nothing.</span>;
}
