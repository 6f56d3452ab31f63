import type { Transport } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';

/** The way to a gateway's HTTP door, as somebody whom a token stands for. */
export function transportTo(address: string, token: string): Transport {
  return createConnectTransport({
    baseUrl: address,
    httpVersion: '1.1',
    useBinaryFormat: true,
    interceptors: [
      (next) => (request) => {
        request.header.set('authorization', `Bearer ${token}`);
        return next(request);
      },
    ],
  });
}
