import {
  AccountOpenedSchema,
  AccountStateSchema,
  MoneyDepositedSchema,
  MoneyWithdrawnSchema,
  PaidInSchema,
} from '#gen/causeway/testing/v1/account_pb.js';
import type { Aggregate, CommandRequest, Decider } from '../decider.ts';
import { upcaster } from '../event.ts';

export type AccountEvent =
  | { type: 'AccountOpened'; accountId: string; ownerName: string }
  | { type: 'MoneyDeposited'; accountId: string; amount: bigint }
  | { type: 'MoneyWithdrawn'; accountId: string; amount: bigint };

export type AccountCommand =
  | { type: 'OpenAccount'; accountId: string; ownerName: string }
  | { type: 'Deposit'; accountId: string; amount: bigint }
  | { type: 'Withdraw'; accountId: string; amount: bigint };

export type Account = { status: 'None' } | { status: 'Open'; ownerName: string; balance: bigint };

/** A bank account that can't be overdrawn: what the kit's own tests are written against. */
const account: Decider<AccountCommand, Account, AccountEvent> = {
  initialState: { status: 'None' },

  decide(command, state) {
    const { accountId } = command;
    if (command.type === 'OpenAccount') {
      if (state.status === 'None') return { type: 'AccountOpened', accountId, ownerName: command.ownerName };
      return { refused: 'ALREADY_EXISTS', reason: 'ACCOUNT_EXISTS', message: `account ${accountId} exists already` };
    }
    if (state.status === 'None') {
      return { refused: 'NOT_FOUND', reason: 'ACCOUNT_UNKNOWN', message: `there is no account ${accountId}` };
    }
    const { amount } = command;
    if (amount === 0n) return undefined;
    if (command.type === 'Deposit') return { type: 'MoneyDeposited', accountId, amount };
    if (amount <= state.balance) return { type: 'MoneyWithdrawn', accountId, amount };
    return {
      refused: 'FAILED_PRECONDITION',
      reason: 'OVERDRAWN',
      message: `account ${accountId} has ${state.balance} only`,
      field: 'amount',
    };
  },

  evolve(state, event) {
    if (event.type === 'AccountOpened') return { status: 'Open', ownerName: event.ownerName, balance: 0n };
    if (state.status === 'None') return state;
    const change = event.type === 'MoneyDeposited' ? event.amount : -event.amount;
    return { ...state, balance: state.balance + change };
  },
};

/** An account's forms on the wire. */
export const accountAggregate: Aggregate<AccountCommand, Account, AccountEvent, typeof AccountStateSchema> = {
  name: 'account',
  decider: account,
  events: {
    AccountOpened: AccountOpenedSchema,
    MoneyDeposited: MoneyDepositedSchema,
    MoneyWithdrawn: MoneyWithdrawnSchema,
  },
  upcasters: [
    upcaster(PaidInSchema, MoneyDepositedSchema, ({ accountId, units }) => ({ accountId, amount: units * 100n })),
  ],
  state: {
    type: AccountStateSchema,
    version: 1,
    encode: (state) => (state.status === 'None' ? {} : { ...state, open: true }),
    decode: ({ open, ownerName, balance }) => (open ? { status: 'Open', ownerName, balance } : { status: 'None' }),
  },
};

/** A command as its owner sends it: the same command is the same request, unless it is given another id. */
export function accountRequest(
  command: AccountCommand,
  { requestId, caller = 'anna' }: { requestId?: string; caller?: string } = {},
): CommandRequest<AccountCommand> {
  const content = JSON.stringify(command, (_, value) => (typeof value === 'bigint' ? String(value) : value));
  const id = requestId ?? ('amount' in command ? `${command.type} ${command.amount}` : command.type);
  return {
    key: command.accountId,
    command,
    creates: command.type === 'OpenAccount',
    caller,
    requestId: id,
    content: Buffer.from(content),
    dataOwner: `owner of ${command.accountId}`,
    correlationId: 'correlation-1',
    causationId: id,
  };
}
