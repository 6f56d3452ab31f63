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

export type Booked =
  | { result: 'booked'; trackingNumber: string }
  /** It will never take this consignment. @param reason UPPER_SNAKE_CASE, for programs. */
  | { result: 'refused'; reason: string };

/** Who takes the goods to the customer. */
export type Carrier = {
  name: string;
  /**
   * Hands a consignment over. Of the same order again: the same booking, because a process may die before it has noted
   * the first one. Throws TransientError for a consignment that it may take the next time, UnavailableError where it is
   * away.
   */
  book(consignment: Consignment, signal: AbortSignal): Promise<Booked>;
  /** Takes an order's booking back; nothing happens where there is none. Throws as `book` does. */
  cancel(orderId: string, signal: AbortSignal): Promise<void>;
};
