import type { Command } from 'commander';

/** Which dead letters; what is left out: any. */
export type Chosen = { consumer?: string; key?: string; reason?: string; type?: string };

/** Adds the options by which dead letters are chosen. */
export function choosing(command: Command): Command {
  return command
    .option('--consumer <name>', 'of this consumer, such as payments-authorize-payment-on-payment-requested')
    .option('--key <key>', 'of this key: an order id, or a sku')
    .option('--reason <reason>', 'whose first message is parked for this reason, such as ATTEMPTS_EXHAUSTED')
    .option('--type <type>', 'whose first message is of this event type, such as causeway.orders.v1.OrderPlaced');
}

export function filterOf({ consumer = '', key = '', reason = '', type: eventType = '' }: Chosen) {
  return { consumer, key, reason, eventType };
}
