import { create, type DescMessage, type Message, type MessageInitShape } from '@bufbuild/protobuf';
import {
  CaptureRequestedSchema,
  FulfilmentCompletedSchema,
  FulfilmentFailedSchema,
  PaymentRequestedSchema,
  PaymentVoidRequestedSchema,
  ShipmentCancelRequestedSchema,
  ShipmentRequestedSchema,
  StockReleaseRequestedSchema,
  StockRequestedSchema,
} from '#gen/causeway/fulfilment/v1/events_pb.js';
import {
  StockCommittedSchema,
  StockRejectedSchema,
  StockReleasedSchema,
  StockReservedSchema,
} from '#gen/causeway/inventory/v1/events_pb.js';
import { FulfilmentResolutionRequestedSchema, type Resolution } from '#gen/causeway/operations/v1/events_pb.js';
import {
  OrderCancelledSchema,
  OrderCompletedSchema,
  OrderConfirmedSchema,
  OrderPlacedSchema,
  OrderShippedSchema,
} from '#gen/causeway/orders/v1/events_pb.js';
import {
  PaymentAuthorizedSchema,
  PaymentCapturedSchema,
  PaymentCaptureRefusedSchema,
  PaymentDeclinedSchema,
  PaymentVoidedSchema,
  PaymentVoidRefusedSchema,
} from '#gen/causeway/payments/v1/events_pb.js';
import { ShipmentCancelledSchema, ShipmentDispatchedSchema } from '#gen/causeway/shipping/v1/events_pb.js';

/** What the other services are going to answer. */
export type Plan = {
  stock: 'enough' | 'none' | 'silent';
  payment: 'authorized' | 'declined' | 'silent';
  /** How often a capture, or a void, is refused before it works. */
  captureRefusals: number;
  voidRefusals: number;
  shipment: 'dispatched' | 'refused' | 'silent';
};

export const allGoesWell: Plan = {
  stock: 'enough',
  payment: 'authorized',
  captureRefusals: 0,
  voidRefusals: 0,
  shipment: 'dispatched',
};

export type OtherService = 'orders' | 'inventory' | 'payments' | 'shipping' | 'operations';
/** An event of another service, and the aggregate that it is about. */
export type Said = { service: OtherService; data: Message };

export const aggregates: Record<OtherService, string> = {
  orders: 'order',
  inventory: 'reservation',
  payments: 'payment',
  shipping: 'shipment',
  operations: 'fulfilment',
};

const total = { currencyCode: 'EUR', units: 25n, nanos: 500_000_000 };

/** One order as the services around fulfilment know it: each hears events, and answers as its contract says. */
export class World {
  readonly orderId: string;
  readonly customerId: string;
  order: 'Placed' | 'Confirmed' | 'Shipped' | 'Completed' | 'Cancelled' = 'Placed';
  stock: 'None' | 'Asked' | 'Reserved' | 'Rejected' | 'Released' | 'Committed' = 'None';
  payment: 'None' | 'Asked' | 'Authorized' | 'Declined' | 'Captured' | 'Voided' = 'None';
  shipment: 'None' | 'Asked' | 'Dispatched' | 'Refused' | 'Cancelled' = 'None';
  readonly #plan: Plan;
  readonly #heard: Record<OtherService, Set<Message>> = {
    orders: new Set(),
    inventory: new Set(),
    payments: new Set(),
    shipping: new Set(),
    operations: new Set(),
  };

  constructor(orderId: string, plan: Plan) {
    this.orderId = orderId;
    this.customerId = `customer of ${orderId}`;
    this.#plan = { ...plan };
  }

  place(): Said[] {
    const shipTo = { name: 'Alice', line1: '1 Main St', city: 'Cork', postalCode: 'T12', countryCode: 'IE' };
    const lines = [{ sku: 'coffee-beans', name: 'Coffee beans', quantity: 2, unitPrice: { units: 12n } }];
    const details = {
      customerId: this.customerId,
      lines,
      total,
      paymentMethod: 'pm_ok',
      email: 'alice@example.com',
      shipTo,
    };
    return this.#say('orders', OrderPlacedSchema, details);
  }

  /** The customer's cancel; possible until the order is confirmed. */
  cancel(): Said[] {
    return this.order === 'Placed' ? this.#cancelled('changed my mind') : [];
  }

  resolve(resolution: Resolution): Said[] {
    return this.#say('operations', FulfilmentResolutionRequestedSchema, { resolution, note: 'looked at it' });
  }

  /** One service hears one event, of fulfilment or of another service. The same one again changes nothing. */
  hear(listener: OtherService, data: Message): Said[] {
    if (this.#heard[listener].has(data)) return [];
    this.#heard[listener].add(data);
    const { $typeName } = data;
    switch (listener) {
      case 'orders':
        return 'late' in data && data.late === true ? [] : this.#ordersHears($typeName);
      case 'inventory':
        return this.#inventoryHears($typeName);
      case 'payments':
        return this.#paymentsHears($typeName);
      case 'shipping':
        return this.#shippingHears($typeName);
      default:
        return [];
    }
  }

  /** A service answers what it was asked some time ago, unless its plan is to be silent. */
  answer(service: 'inventory' | 'payments' | 'shipping'): Said[] {
    if (service === 'inventory') return this.#answerStock();
    return service === 'payments' ? this.#answerPayment() : this.#answerShipment();
  }

  #ordersHears(type: string): Said[] {
    switch (type) {
      case PaymentAuthorizedSchema.typeName:
        if (this.order !== 'Placed') return [];
        this.order = 'Confirmed';
        return this.#say('orders', OrderConfirmedSchema, {});
      case ShipmentDispatchedSchema.typeName:
        if (this.order === 'Shipped' || this.order === 'Completed') return [];
        if (this.order !== 'Confirmed') throw new Error(`goods were sent for an order that is ${this.order}`);
        this.order = 'Shipped';
        return this.#say('orders', OrderShippedSchema, { trackingNumber: 'T-1' });
      case FulfilmentCompletedSchema.typeName:
        if (this.order === 'Completed') return [];
        if (this.order !== 'Shipped') throw new Error(`an order that is ${this.order} was completed`);
        this.order = 'Completed';
        return this.#say('orders', OrderCompletedSchema, { customerId: this.customerId, total });
      case FulfilmentFailedSchema.typeName:
        if (this.order === 'Cancelled') return [];
        if (this.order !== 'Placed' && this.order !== 'Confirmed') throw new Error(`${this.order}, and it failed`);
        return this.#cancelled('it failed');
      default:
        return [];
    }
  }

  #inventoryHears(type: string): Said[] {
    switch (type) {
      case StockRequestedSchema.typeName:
        if (this.stock === 'None') this.stock = 'Asked';
        return [];
      case StockReleaseRequestedSchema.typeName:
        if (this.stock === 'Released') return [];
        if (this.stock === 'Committed') throw new Error('stock was released that had been sent');
        this.stock = 'Released';
        return this.#say('inventory', StockReleasedSchema, {});
      case ShipmentDispatchedSchema.typeName:
        if (this.stock === 'Committed') return [];
        if (this.stock !== 'Reserved') throw new Error(`goods were sent that are ${this.stock}`);
        this.stock = 'Committed';
        return this.#say('inventory', StockCommittedSchema, {});
      default:
        return [];
    }
  }

  #answerStock(): Said[] {
    if (this.stock !== 'Asked' || this.#plan.stock === 'silent') return [];
    if (this.#plan.stock === 'enough') {
      this.stock = 'Reserved';
      return this.#say('inventory', StockReservedSchema, { lines: [{ sku: 'coffee-beans', quantity: 2 }] });
    }
    this.stock = 'Rejected';
    return this.#say('inventory', StockRejectedSchema, { missing: [{ sku: 'coffee-beans', quantity: 2 }] });
  }

  #paymentsHears(type: string): Said[] {
    switch (type) {
      case PaymentRequestedSchema.typeName:
        if (this.payment === 'None') this.payment = 'Asked';
        return [];
      case PaymentVoidRequestedSchema.typeName:
        return this.#void();
      case CaptureRequestedSchema.typeName:
        return this.#capture();
      default:
        return [];
    }
  }

  #void(): Said[] {
    if (this.payment === 'Voided') return [];
    if (this.payment === 'Captured') throw new Error('a payment was voided that had been captured');
    if (this.payment === 'Authorized' && this.#plan.voidRefusals-- > 0) {
      return this.#say('payments', PaymentVoidRefusedSchema, { reason: 'try_later' });
    }
    // The provider may have said yes to what nobody has recorded yet.
    const late = this.payment === 'Asked' && this.#plan.payment === 'authorized';
    this.payment = 'Voided';
    const authorized = this.#say('payments', PaymentAuthorizedSchema, {
      customerId: this.customerId,
      amount: total,
      late: true,
    });
    return [
      ...(late ? authorized : []),
      ...this.#say('payments', PaymentVoidedSchema, { customerId: this.customerId }),
    ];
  }

  #capture(): Said[] {
    if (this.payment === 'Captured') return [];
    if (this.payment !== 'Authorized') throw new Error(`a payment was captured that was ${this.payment}`);
    if (this.shipment !== 'Dispatched') throw new Error('a payment was captured before the goods were sent');
    if (this.#plan.captureRefusals-- > 0) {
      return this.#say('payments', PaymentCaptureRefusedSchema, { amount: total, reason: 'expired' });
    }
    this.payment = 'Captured';
    return this.#say('payments', PaymentCapturedSchema, { amount: total });
  }

  #answerPayment(): Said[] {
    if (this.payment !== 'Asked' || this.#plan.payment === 'silent') return [];
    if (this.#plan.payment === 'authorized') {
      this.payment = 'Authorized';
      return this.#say('payments', PaymentAuthorizedSchema, { customerId: this.customerId, amount: total });
    }
    this.payment = 'Declined';
    return this.#say('payments', PaymentDeclinedSchema, {
      customerId: this.customerId,
      amount: total,
      reason: 'card_declined',
    });
  }

  #shippingHears(type: string): Said[] {
    switch (type) {
      case ShipmentRequestedSchema.typeName:
        if (this.shipment === 'None') this.shipment = 'Asked';
        return [];
      case ShipmentCancelRequestedSchema.typeName:
        if (this.shipment !== 'None' && this.shipment !== 'Asked') return [];
        this.shipment = 'Cancelled';
        return this.#say('shipping', ShipmentCancelledSchema, {});
      default:
        return [];
    }
  }

  #answerShipment(): Said[] {
    if (this.shipment !== 'Asked' || this.#plan.shipment === 'silent') return [];
    if (this.#plan.shipment === 'refused') {
      this.shipment = 'Refused';
      return this.#say('shipping', ShipmentCancelledSchema, { reason: 'NO_ADDRESS' });
    }
    this.shipment = 'Dispatched';
    return this.#say('shipping', ShipmentDispatchedSchema, {
      customerId: this.customerId,
      carrier: 'post',
      trackingNumber: 'T-1',
    });
  }

  #cancelled(reason: string): Said[] {
    this.order = 'Cancelled';
    return this.#say('orders', OrderCancelledSchema, { reason, customerId: this.customerId, total });
  }

  #say<Desc extends DescMessage>(service: OtherService, type: Desc, data: MessageInitShape<Desc>): Said[] {
    return [{ service, data: create(type, { orderId: this.orderId, ...data } as MessageInitShape<Desc>) as Message }];
  }
}
