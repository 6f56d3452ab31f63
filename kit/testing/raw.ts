import { connect } from 'node:net';

/** Publishes with these very headers, which nobody who uses the client can write; others can. */
export function publishRaw(url: string, on: string, head: string): Promise<void> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write('CONNECT {"headers":true,"verbose":false}\r\n');
  socket.write(`HPUB ${on} ${head.length} ${head.length + 2}\r\n${head}hi\r\nPING\r\n`);
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('data', (said) => {
      if (!said.includes('PONG')) return;
      socket.destroy();
      resolve();
    });
  });
}
