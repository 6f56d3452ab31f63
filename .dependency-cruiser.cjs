// Imports go one way. Each rule is seen failing in test/check/dependency-rules.test.ts.
module.exports = {
  forbidden: [
    {
      name: 'domain-is-pure',
      comment: 'A decider imports its own folder, and types of the kit.',
      severity: 'error',
      from: { path: '^services/([^/]+)/domain/', pathNot: '[.]test[.]ts$' },
      to: { pathNot: ['^services/$1/domain/', '^kit/'] },
    },
    {
      name: 'domain-takes-only-types-from-the-kit',
      comment: 'A decider runs nothing that is not in its own folder.',
      severity: 'error',
      from: { path: '^services/([^/]+)/domain/', pathNot: '[.]test[.]ts$' },
      to: { path: '^kit/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'views-know-no-domain',
      comment: 'A view is made from published events. It must not depend on how decisions are made.',
      severity: 'error',
      from: { path: '^services/([^/]+)/views/' },
      to: { path: '^services/$1/domain/' },
    },
    {
      name: 'adapters-are-wired-at-the-root',
      comment: 'Only the composition root, adapters themselves and tests import adapters.',
      severity: 'error',
      from: {
        path: '^services/([^/]+)/',
        pathNot: ['^services/[^/]+/((adapters|testing)/|[^/]+[.]ts$)', '[.]test[.]ts$'],
      },
      to: { path: '^services/$1/adapters/' },
    },
    {
      name: 'services-meet-in-contracts-only',
      comment: 'A service knows another by its contract (#gen) and by nothing else.',
      severity: 'error',
      from: { path: '^services/([^/]+)/' },
      to: { path: '^services/', pathNot: '^services/$1/' },
    },
    {
      name: 'kit-knows-no-service',
      comment: 'There is no domain word in the kit.',
      severity: 'error',
      from: { path: '^kit/' },
      to: {
        path: [
          '^services/',
          '^gateway/',
          '^test/',
          '^bench/',
          '^gen/causeway/(?!events/|rpc/|testing/)',
          '^gen/events[.]',
        ],
      },
    },
    {
      name: 'gateway-uses-composition-roots-only',
      comment: 'The gateway imports the kit and contracts; the one-process start imports composition roots too.',
      severity: 'error',
      from: { path: '^gateway/', pathNot: '[.]test[.]ts$' },
      to: { path: '^services/', pathNot: '^services/([^/]+)/\\1[.]ts$' },
    },
    {
      name: 'nothing-imports-tests',
      severity: 'error',
      from: {
        path: '^(kit|services|gateway)/',
        pathNot: ['[.]test[.]ts$', '/testing/'],
      },
      to: { path: ['^test/', '^kit/testing/', '^services/[^/]+/testing/'] },
    },
    {
      name: 'no-circles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: ['node_modules', '^gen/'] },
    exclude: { path: ['^node_modules/', '/dist/'] },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['node', 'import', 'default', 'types'] },
  },
};
