/** What a carrier is given to take to somebody. */
export type Consignment = {
  orderId: string;
  lines: readonly { sku: string; quantity: number }[];
  shipTo: {
    name: string;
    line1: string;
    line2: string;
    city: string;
    postalCode: string;
    countryCode: string;
  };
};

/** Who takes the goods to the customer. */
export type Carrier = {
  name: string;
  /**
   * Hands a consignment over. Of the same order again: the same booking, because a process may die before it has noted
   * the first one. Throws PermanentError for a consignment that it will never take, TransientError for one that it may
   * take the next time, UnavailableError where it is away.
   */
  book(consignment: Consignment, signal: AbortSignal): Promise<{ trackingNumber: string }>;
  /** Takes an order's booking back; nothing happens where there is none. Throws as `book` does. */
  cancel(orderId: string, signal: AbortSignal): Promise<void>;
};
