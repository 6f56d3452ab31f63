/**
 * Ends with 0 where an address, such as https://127.0.0.1:6443, is one of this very machine. A name is none: what it stands for
 * may change.
 */
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

const { hostname } = new URL(process.argv[2] ?? '');
const address = hostname.replace(/^\[(.*)\]$/, '$1');
const own = Object.values(networkInterfaces()).flatMap((interfaces) => interfaces ?? []);
const isHere = isIP(address) !== 0 && own.some((each) => each.address === address);
process.exit(isHere ? 0 : 1);
