import { lazy, Suspense } from 'react';
import { useSearchParams } from 'wouter';
import { Loading } from '../../parts/answer.tsx';
import { Page } from '../../parts/page.tsx';
import { Tabs } from '../../parts/tabs.tsx';
import { Log } from './log.tsx';

const Catalogue = lazy(() => import('./catalogue.tsx'));

/** Events: those that there were, and those that there can be. */
export default function EventsPage() {
  const [address] = useSearchParams();
  const isCatalogue = address.get('show') === 'catalogue';
  return (
    <Page title="Events">
      <Tabs
        label="Events"
        tabs={[
          { name: 'Log', href: '/events', isHere: !isCatalogue },
          { name: 'Catalogue', href: '/events?show=catalogue', isHere: isCatalogue },
        ]}
      />
      {isCatalogue ? (
        <Suspense fallback={<Loading />}>
          <Catalogue />
        </Suspense>
      ) : (
        <Log />
      )}
    </Page>
  );
}
