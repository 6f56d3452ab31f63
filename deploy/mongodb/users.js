// Makes the user of each service, or gives it the password and the rights that it should have: run by the official image
// where its data directory is empty, and by hand after a service or a password has changed:
//
//   kubectl -n causeway exec statefulset/mongodb -- sh -c \
//     'mongosh --quiet -u root -p "$(cat /var/run/causeway/secrets/root-password)" /docker-entrypoint-initdb.d/users.js'
//
// A service is whoever has a file `<service>-password`. Its user reads and writes its own database, and knows no other.
/* global db, print, process, require */
const { readdirSync, readFileSync } = require('node:fs');

const directory = process.env.CAUSEWAY_PASSWORDS || '/var/run/causeway/secrets';

for (const name of readdirSync(directory).sort()) {
  const service = /^([a-z][a-z0-9-]*)-password$/.exec(name)?.[1];
  if (service === undefined || service === 'root') continue;
  const pwd = readFileSync(`${directory}/${name}`, 'utf8').trim();
  if (pwd === '') throw new Error(`${name} is empty`);
  const own = db.getSiblingDB(`causeway_${service}`);
  const roles = [{ role: 'readWrite', db: own.getName() }];
  if (own.getUser(service) === null) own.createUser({ user: service, pwd, roles });
  else own.updateUser(service, { pwd, roles });
  print(`${service} reads and writes ${own.getName()}`);
}
